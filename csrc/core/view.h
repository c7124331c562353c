// Views: pointers with shapes. They own nothing and check nothing. Layers, losses and operations take them by
// reference: by value they go over the stack, written in four pieces and copied in two, and each copy waits until the
// pieces have left the processor's store buffer (Zen 4: a step of 2-16-16-2 took 1.21 times as long).
//
// Letters used on every array of the project:
//   B rows of a batch      N rows of a data set     in, out  width before and after a layer
//   K classes, or outputs of the network            n        elements of a flat array
#pragma once

#include <cstddef>
#include <cstdint>

namespace chainrule {

using Index = std::int64_t;

/// One cache line of every processor we know, and one AVX-512 register.
inline constexpr std::size_t alignment_bytes = 64;

// For functions that operations call: the operations are compiled once for each instruction set, and an inline function
// that stays a function is kept in one copy only, of whichever set the linker meets first.
#define CHAINRULE_INLINE [[gnu::always_inline]] inline

/// A row-major matrix: element (i, j) lies at data[i * stride + j].
template <class T> struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0; // elements from one row to the next, >= cols

  CHAINRULE_INLINE T* row(Index i) const { return data + i * stride; }
  CHAINRULE_INLINE Index size() const { return rows * cols; }
  operator MatrixView<const T>() const { return {data, rows, cols, stride}; }
};

/// A dense matrix: rows follow each other without a gap.
template <class T> CHAINRULE_INLINE MatrixView<T> dense_view(T* data, Index rows, Index cols) {
  return {data, rows, cols, cols};
}

/// Half-open range of indices [begin, end).
struct Range {
  Index begin = 0;
  Index end = 0;
  CHAINRULE_INLINE Index size() const { return end - begin; }
};

} // namespace chainrule
