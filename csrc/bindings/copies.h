// Copies: the arrays of one call of an operation, on the GPU. What an operation reads is copied there when it is first
// asked for, what it writes is copied back at the end. For tests of operations; whoever trains keeps its arrays there.
#pragma once

#include <vector>

#include "core/memory.h"

namespace chainrule::bindings {

class Copies {
public:
  explicit Copies(const Memory& memory) : memory_(memory) {}
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;
  ~Copies() {
    for (const Copy& copy : copies_) memory_.release(copy.there);
  }

  /// The copy of n elements that an operation reads.
  template <class T> const T* of(const T* here, Index n) {
    return static_cast<const T*>(find(here, bytes<T>(n)).there);
  }
  /// The copy of n elements that it reads or writes.
  template <class T> T* of(T* here, Index n) {
    Copy& copy = find(here, bytes<T>(n));
    copy.back = here;
    return static_cast<T*>(copy.there);
  }
  /// Waits for the operation and copies back what it may have written.
  void give_back() const {
    for (const Copy& copy : copies_) {
      if (copy.back != nullptr && copy.bytes > 0) memory_.copy_out(copy.back, copy.there, copy.bytes);
    }
  }

private:
  struct Copy {
    const void* here;
    void* there;
    std::size_t bytes;
    void* back; // where to copy it in the end, or null
  };

  template <class T> static std::size_t bytes(Index n) { return static_cast<std::size_t>(n) * sizeof(T); }

  Copy& find(const void* here, std::size_t bytes) {
    for (Copy& copy : copies_) {
      if (copy.here == here && copy.bytes == bytes) return copy;
    }
    copies_.reserve(copies_.size() + 1); // before there is something to lose
    copies_.push_back({here, memory_.allocate(bytes > 0 ? bytes : 1), bytes, nullptr});
    if (bytes > 0) memory_.copy_in(copies_.back().there, here, bytes);
    return copies_.back();
  }

  const Memory& memory_;
  std::vector<Copy> copies_;
};

} // namespace chainrule::bindings
