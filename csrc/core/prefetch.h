// Prefetch: rows scattered over far memory, asked for while something else is computed.
//
// A batch of shuffled rows is as many jumps through the data, and a core that copies them waits for each. The tiles of
// a matrix product leave the way to memory idle: so each tile asks for some lines of the batch that comes next. It
// reads and writes nothing that counts.
#pragma once

#include <cstdint>

#include "core/view.h"

namespace chainrule {

class Prefetch {
public:
  Prefetch() = default;
  /// The rows that `rows` (count) numbers, of `bytes` each, which begin `step` bytes apart at `data`.
  Prefetch(const void* data, Index step, Index bytes, const std::int32_t* rows, Index count)
      : data_(static_cast<const char*>(data)), step_(step), bytes_(bytes), rows_(rows), left_(count) {
    if (bytes > 0) begin_row();
  }

  /// Asks for some lines more.
  CHAINRULE_INLINE void go_on() {
    for (int line = 0; line < lines_at_once && left_ > 0; ++line) {
      __builtin_prefetch(next_, 0, 2); // into the second-level cache: the first has no room for a batch
      next_ += alignment_bytes;
      if (next_ < end_) continue;
      ++rows_;
      --left_;
      begin_row();
    }
  }

private:
  // A core keeps some 24 requests (AMD's Zen 4; Intel's have 12 to 16) and stands still when they are taken; a tile,
  // some 0.3 us and more, is time enough for twelve.
  static constexpr int lines_at_once = 12;

  CHAINRULE_INLINE void begin_row() {
    if (left_ <= 0) return;
    const char* begin = data_ + *rows_ * step_;
    end_ = begin + bytes_;
    next_ = begin - reinterpret_cast<std::uintptr_t>(begin) % alignment_bytes;
  }

  const char* data_ = nullptr;
  Index step_ = 0, bytes_ = 0;
  const std::int32_t* rows_ = nullptr; // from the one at hand on
  Index left_ = 0;
  const char *next_ = nullptr, *end_ = nullptr; // of the row at hand
};

} // namespace chainrule
