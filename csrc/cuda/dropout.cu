// Dropout on the GPU: y = x * mask * scale, forward on activations and, with the same stream, backward on gradients.
// The masks are those of the CPU.
//
// With word(e) the word e % 4 of philox(stream, block e / 4), and e = i d + j for row i and column j, or e = j where
// all rows share the mask of row 0:
//
//   by a rate    mask_ij = 0 where word(e) < floor(rate 2^32), else 1
//   by a count   mask_ij = 0 where floor(word(e) (d - j) / 2^32) < how many of the row are still to be dropped, else 1
//                so that each choice of so many elements is equally likely (selection sampling: D. Knuth, The Art of
//                Computer Programming 2, 3.4.2, algorithm S)
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

/// Each element on its own. A thread has the four elements of a block of words.
template <class T> struct DropElements {
  Stream stream;
  std::uint32_t threshold;
  T scale;
  const T* x;
  T* y;
  Index columns, groups; // of a row: elements, and groups of four of them
  __device__ void operator()(Index group) const {
    const Index first = group % groups * 4, row = group / groups;
    const Words words = philox(stream, static_cast<std::uint32_t>(first / 4));
    for (int k = 0; k < 4; ++k) {
      const Index e = row * columns + first + k;
      if (first + k < columns) y[e] = words[k] < threshold ? T(0) : scale * x[e];
    }
  }
};

/// Where rows have masks of their own, the whole matrix is as one row.
template <class T> void drop_elements(const DropMask& mask, T scale, const MatrixView<const T>& x, T* y) {
  const Index rows = mask.same ? x.rows : 1, columns = mask.same ? x.cols : x.size(), groups = (columns + 3) / 4;
  const auto threshold = static_cast<std::uint32_t>(mask.rate * 0x1p32); // rate < 1
  for_elements("dropout", rows * groups, DropElements<T>{mask.stream, threshold, scale, x.data, y, columns, groups});
}

__device__ inline std::uint64_t word_of(const Stream& stream, Index e) {
  const Words words = philox(stream, static_cast<std::uint32_t>(e / 4));
  const std::uint32_t low = e % 2 == 0 ? words[0] : words[1], high = e % 2 == 0 ? words[2] : words[3];
  return e % 4 < 2 ? low : high; // not words[e % 4]: registers have no numbers
}

/// So many of each row. A lane makes the word of its column; then all lanes walk through 32 columns together, and only
/// a comparison and a subtraction wait for the column before.
template <class T> struct DropCount {
  DropMask mask;
  T scale;
  const T* x;
  T* y;
  Index columns;
  __device__ void operator()(Index row, int lane) const {
    Index drops_left = mask.count;
    for (Index begin = 0; begin < columns; begin += warp_threads) {
      const Index j = begin + lane, e = row * columns + j;
      Index drawn = columns; // beyond the row: never below drops_left
      if (j < columns) {
        const std::uint64_t word = word_of(mask.stream, mask.same ? j : e);
        drawn = static_cast<Index>(word * static_cast<std::uint64_t>(columns - j) >> 32);
      }
      bool drops = false;
      for (int of = 0; of < warp_threads; ++of) {
        const bool drops_this = __shfl_sync(~0u, drawn, of) < drops_left;
        drops_left -= drops_this;
        if (of == lane) drops = drops_this;
      }
      if (j < columns) y[e] = drops ? T(0) : scale * x[e];
    }
  }
};

template <class T>
void dropout(const Team&, const DropMask& mask, double scale, const MatrixView<const T>& x, const MatrixView<T>& y) {
  const T factor = static_cast<T>(scale);
  if (mask.count < 0) return drop_elements(mask, factor, x, y.data);
  for_rows("dropout", x.rows, DropCount<T>{mask, factor, x.data, y.data, x.cols});
}

} // namespace

void list_dropout(Device& device) {
  device.float32.dropout = dropout<float>;
  device.float64.dropout = dropout<double>;
}

} // namespace chainrule::cuda
