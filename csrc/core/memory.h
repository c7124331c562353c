// Memory: where the arrays of a device lie, and the ways in and out. A table of functions, as the operations are one
// (kernels.h). Only the device's operations may read and write there, unless it is the memory of this process.
#pragma once

#include <cstddef>

#include "core/view.h"

namespace chainrule {

/// All of them are over when they return, and so is what the calling thread had asked the device for before.
struct Memory {
  /// Undefined bytes, more than 0, on a boundary of alignment_bytes. Throws a std::bad_alloc.
  void* (*allocate)(std::size_t bytes);
  void (*release)(void*) noexcept;
  /// Sets bytes to 0.
  void (*clear)(void* at, std::size_t bytes);
  /// From the memory of this process to this one, and the way back.
  void (*copy_in)(void* to, const void* from, std::size_t bytes);
  void (*copy_out)(void* to, const void* from, std::size_t bytes);
  /// Within this memory.
  void (*copy)(void* to, const void* from, std::size_t bytes);
};

/// The memory of this process.
extern const Memory host_memory;

/// n numbers of this process into `memory`, and out of it.
template <class T> void copy_in(const Memory& memory, T* to, const T* from, Index n) {
  if (n > 0) memory.copy_in(to, from, static_cast<std::size_t>(n) * sizeof(T));
}
template <class T> void copy_out(const Memory& memory, T* to, const T* from, Index n) {
  if (n > 0) memory.copy_out(to, from, static_cast<std::size_t>(n) * sizeof(T));
}
/// n numbers within `memory`.
template <class T> void copy(const Memory& memory, T* to, const T* from, Index n) {
  if (n > 0) memory.copy(to, from, static_cast<std::size_t>(n) * sizeof(T));
}

} // namespace chainrule
