// Buffer: an aligned array that owns its memory, moves, and never copies. It does not grow.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "core/check.h"
#include "core/view.h"

namespace chainrule {

enum class Contents { zero, undefined };

template <class T> class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "a buffer holds plain numbers");

public:
  Buffer() = default;

  /// `size` elements, all zero, or undefined where every element is written before it is read.
  explicit Buffer(Index size, Contents contents = Contents::zero) : size_(size) {
    check(size >= 0 && size <= std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(T)),
          "a buffer cannot have ", size, " elements");
    if (size == 0) return;
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    data_ = static_cast<T*>(::operator new (bytes, std::align_val_t{alignment_bytes}));
    if (contents == Contents::zero) std::memset(static_cast<void*>(data_), 0, bytes);
  }

  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete (data_, std::align_val_t{alignment_bytes}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }

private:
  T* data_ = nullptr;
  Index size_ = 0;
};

} // namespace chainrule
