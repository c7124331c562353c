// Dropout: y = x * mask * scale, forward on activations and, with the same stream, backward on gradients.
//
// With word(e) the word e % 4 of philox(stream, block e / 4), and e = i d + j for row i and column j, or e = j where
// all rows share the mask of row 0:
//
//   by a rate    mask_ij = 0 where word(e) < floor(rate 2^32), else 1
//   by a count   mask_ij = 0 where floor(word(e) (d - j) / 2^32) < how many of the row are still to be dropped, else 1
//                so that each choice of so many elements is equally likely (selection sampling: D. Knuth, The Art of
//                Computer Programming 2, 3.4.2, algorithm S)
#include "cpu/operations.h"
#include "cpu/philox_lanes.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

std::uint32_t threshold_of(double rate) { return static_cast<std::uint32_t>(rate * 0x1p32); } // rate < 1

/// A piece of a mask: 1 where an element is kept, 0 where it is dropped.
template <class T> using Kept = T[philox_elements];

/// y = scale * x where `kept` is 1, else 0; `count` elements. A select, not a branch: nobody can predict a coin.
template <class T> void keep_some(const Kept<T>& kept, Vec<T> scale, const T* x, T* y, Index count) {
  each_vector<T>({0, count}, [&](Index i, auto part) {
    store(select(load(kept + i, part) > Vec<T>(0), scale * load(x + i, part), Vec<T>(0)), y + i, part);
  });
}

/// Each element on its own: all words of a batch are used at once.
template <class T> void drop_elements(const Team& team, const DropMask& mask, Vec<T> scale, const T* x, T* y, Index n) {
  const std::uint32_t threshold = threshold_of(mask.rate);
  const Range range = team.share(n, philox_elements);
  LaneWords words;
  Kept<T> kept;
  for (T& one : kept) one = 1;
  for (Index e = range.begin; e < range.end; e += philox_elements) {
    if (threshold > 0) { // else nothing is dropped
      philox_lanes(mask.stream, static_cast<std::uint32_t>(e / 4), words);
      for (int lane = 0; lane < philox_width; ++lane) {
        for (int word = 0; word < 4; ++word) kept[4 * lane + word] = static_cast<T>(words[word][lane] >= threshold);
      }
    }
    keep_some(kept, scale, x + e, y + e, range.end - e < philox_elements ? range.end - e : philox_elements);
  }
}

/// Walks through a mask element by element, from the first column of a row on.
class MaskWalk {
public:
  MaskWalk(const DropMask& mask, Index row, Index columns)
      : mask_(mask), threshold_(threshold_of(mask.rate)), element_(row * columns) {}

  void begin_row(Index columns) {
    columns_left_ = columns;
    drops_left_ = mask_.count;
  }
  /// Whether the next element is kept.
  bool keeps_next() {
    const Index e = element_++, batch = e / philox_elements * philox_elements;
    if (batch != batch_) {
      batch_ = batch;
      philox_lanes(mask_.stream, static_cast<std::uint32_t>(batch / 4), words_);
    }
    const std::uint64_t word = words_[e % 4][(e - batch) / 4];
    if (mask_.count < 0) return word >= threshold_;
    const bool drops = static_cast<Index>(word * static_cast<std::uint64_t>(columns_left_) >> 32) < drops_left_;
    --columns_left_;
    drops_left_ -= drops;
    return !drops;
  }

private:
  const DropMask& mask_;
  std::uint64_t threshold_;
  Index element_;
  Index columns_left_ = 0, drops_left_ = 0; // of the row
  Index batch_ = -1;                        // the first element that words_ serve
  LaneWords words_;
};

/// Applies the next row of a mask to `rows` of x.
template <class T>
void drop_rows(MaskWalk& mask, Range rows, Vec<T> scale, const MatrixView<const T>& x, const MatrixView<T>& y) {
  Kept<T> kept;
  mask.begin_row(x.cols);
  for (Index begin = 0; begin < x.cols; begin += philox_elements) {
    const Index count = x.cols - begin < philox_elements ? x.cols - begin : philox_elements;
    for (Index j = 0; j < count; ++j) kept[j] = static_cast<T>(mask.keeps_next());
    for (Index i = rows.begin; i < rows.end; ++i) keep_some(kept, scale, x.row(i) + begin, y.row(i) + begin, count);
  }
}

template <class T>
void dropout(const Team& team, const DropMask& mask, double scale, const MatrixView<const T>& x,
             const MatrixView<T>& y) {
  const Vec<T> factor(scale);
  if (mask.count < 0 && !mask.same) return drop_elements(team, mask, factor, x.data, y.data, x.size());
  const Range rows = team.share(x.rows);
  MaskWalk walk(mask, mask.same ? 0 : rows.begin, x.cols);
  if (mask.same) return drop_rows(walk, rows, factor, x, y);
  for (Index i = rows.begin; i < rows.end; ++i) drop_rows(walk, {i, i + 1}, factor, x, y);
}

} // namespace

void list_dropout(Device& device) {
  device.float32.dropout = dropout<float>;
  device.float64.dropout = dropout<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
