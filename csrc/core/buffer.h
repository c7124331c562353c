// Buffer: an aligned array that owns its memory, moves, and never copies. It does not grow.
#pragma once

#include <limits>
#include <type_traits>
#include <utility>

#include "core/check.h"
#include "core/memory.h"

namespace chainrule {

enum class Contents { zero, undefined };

template <class T> class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "a buffer holds plain numbers");

public:
  Buffer() = default;

  /// `size` elements, all zero, or undefined where every element is written before it is read.
  explicit Buffer(Index size, Contents contents = Contents::zero, const Memory& memory = host_memory)
      : memory_(&memory), size_(size) {
    check(size >= 0 && size <= std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(T)),
          "a buffer cannot have ", size, " elements");
    if (size == 0) return;
    data_ = static_cast<T*>(memory.allocate(bytes()));
    if (contents == Contents::zero) memory.clear(data_, bytes());
  }
  /// Copies of `size` elements of this process.
  Buffer(const T* from, Index size, const Memory& memory) : Buffer(size, Contents::undefined, memory) {
    copy_in(memory, data_, from, size);
  }

  Buffer(Buffer&& other) noexcept
      : memory_(other.memory_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) memory_->release(data_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }

private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  const Memory* memory_ = &host_memory;
  T* data_ = nullptr;
  Index size_ = 0;
};

} // namespace chainrule
