// One tile of a matrix product with multiply-adds of single numbers: what a block of threads computes.
//
//   c = start + sum over p of a[:, p] b[p, :]
//
// A block walks along the sum, `depth` terms at a time (matmul_plan.h). A thread keeps rows_each x columns_each sums in
// registers.
//
// A factor, transposed or not, is read along its lines in memory, which run along the sum or across it. Its panel is
// always laid so that the numbers of one term are neighbours. Which of the two it is, is decided at run time: the loop
// of multiply-adds, nearly all of the code, exists once for all four products.
#pragma once

#include "cuda/matmul_plan.h"

namespace chainrule::cuda {

/// Sizes of a tile: its part of c, the terms of a panel, the sums of a thread, and how many blocks a multiprocessor
/// must have the registers for.
struct TileShape {
  int rows, columns, depth, rows_each, columns_each, blocks;

  constexpr int threads_down() const { return rows / rows_each; }
  constexpr int threads_across() const { return columns / columns_each; }
  constexpr int threads() const { return threads_down() * threads_across(); }
  /// What a term of the sum costs, in multiply-adds: its own, and two for each number read from shared memory, which
  /// brings 4 numbers to a warp in about 2 cycles, while the four parts of a multiprocessor start 4 multiply-adds of a
  /// warp in each. By these rates, not by measurement.
  constexpr Index cost() const {
    const Index area = rows * columns;
    return area + 2 * (area / rows_each + area / columns_each);
  }
};

/// Panels of both factors, in shared memory, a row for each term. Rows are 16 bytes longer than a panel needs: a line
/// along the sum is written across them, and would else fall on the same banks.
template <class T, TileShape shape> struct Panels {
  alignas(16) T a[shape.depth][shape.rows + vector_width<T>];
  alignas(16) T b[shape.depth][shape.columns + vector_width<T>];
};

/// One thread's share of the panels of a factor, on their way from memory to shared memory, `width` numbers at a time.
/// Numbers beyond the matrix are `padding`.
template <class T, int side, int depth, int threads, int width> class Carrier {
  static constexpr int chunks = side * depth / (threads * width);
  static_assert(chunks * threads * width == side * depth, "threads carry equal shares");
  static_assert(threads % (side / width) == 0 && threads % (depth / width) == 0, "threads carry whole lines");

public:
  /// For the panels at number `first` of `total` along the side, from the first term of the sum.
  __device__ Carrier(const Lines<T>& lines, Index first, Index total, T padding) : lines_(lines), padding_(padding) {
    const int thread = static_cast<int>(threadIdx.x);
    const int line_threads = (lines.along_sum ? depth : side) / width;
    line_ = thread / line_threads;
    place_ = thread % line_threads * width;
    line_step_ = threads / line_threads;
    side_left_ = total - first < side ? static_cast<int>(total - first) : side;
    offset_ = (lines.along_sum ? first * lines.stride : first) + line_ * lines.stride + place_;
  }

  /// Asks for the next panel, of a sum of which `left` terms are left.
  __device__ void load(Index left) {
    const int sum_left = left < depth ? static_cast<int>(left) : depth;
    const int length = lines_.along_sum ? sum_left : side_left_;
    int lines_left = (lines_.along_sum ? side_left_ : sum_left) - line_;
    Index offset = offset_;
    CHAINRULE_UNROLLED
    for (int c = 0; c < chunks; ++c) {
      if (lines_left > 0 && place_ < length) {
        carried_[c] = cuda::load<width>(lines_.data + offset);
      } else {
        CHAINRULE_UNROLLED
        for (int q = 0; q < width; ++q) carried_[c].at[q] = padding_;
      }
      lines_left -= line_step_;
      offset += line_step_ * lines_.stride;
    }
    offset_ += lines_.along_sum ? depth : depth * lines_.stride;
  }

  /// Puts it into shared memory.
  template <int length> __device__ void store(T (&panel)[depth][length]) const {
    if (lines_.along_sum) {
      CHAINRULE_UNROLLED
      for (int c = 0; c < chunks; ++c) {
        CHAINRULE_UNROLLED
        for (int q = 0; q < width; ++q) panel[place_ + q][line_ + c * line_step_] = carried_[c].at[q];
      }
    } else {
      CHAINRULE_UNROLLED
      for (int c = 0; c < chunks; ++c) cuda::store(carried_[c], &panel[line_ + c * line_step_][place_]);
    }
  }

private:
  Lines<T> lines_;
  T padding_;
  int line_, place_, line_step_; // the first chunk of this thread, and how far apart its chunks are
  int side_left_;
  Index offset_; // of the first chunk of the next panel
  Chunk<T, width> carried_[chunks];
};

/// Where the sums of one thread lie along a side of the tile: groups of `width` neighbours, as many as one load from
/// shared memory brings, the groups of all threads taking turns.
template <class T, int each, int threads> struct Groups {
  static constexpr int width = each < vector_width<T> ? each : vector_width<T>;
  static constexpr int count = each / width;
  __device__ static int place(int thread, int group) { return (group * threads + thread) * width; }

  __device__ static void load(const T* panel_row, int thread, T (&numbers)[each]) {
    CHAINRULE_UNROLLED
    for (int group = 0; group < count; ++group) {
      const auto chunk = cuda::load<width>(panel_row + place(thread, group));
      CHAINRULE_UNROLLED
      for (int q = 0; q < width; ++q) numbers[group * width + q] = chunk.at[q];
    }
  }
};

/// The sums of one thread.
template <class T, TileShape shape, int width> class Sums {
  using Down = Groups<T, shape.rows_each, shape.threads_down()>;
  using Across = Groups<T, shape.columns_each, shape.threads_across()>;
  static constexpr int store_width = width < Across::width ? width : Across::width;
  static constexpr int chunks = shape.columns_each / store_width;

public:
  /// For the tile of c that begins there. The threads of a warp lie 4 x 8: together they read 4 groups of a
  /// and 8 of b, the fewest banks that 32 can do with.
  __device__ explicit Sums(TilePlace tile) : tile_(tile) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    constexpr int warps_across = shape.threads_across() / 8;
    static_assert(shape.threads_down() % 4 == 0 && shape.threads_across() % 8 == 0, "blocks are made of whole warps");
    down_ = warp / warps_across * 4 + lane / 8;
    across_ = warp % warps_across * 8 + lane % 8;
  }

  /// Begins the sums.
  __device__ void start(const Product<T>& product) {
    CHAINRULE_UNROLLED
    for (int i = 0; i < shape.rows_each; ++i) {
      CHAINRULE_UNROLLED
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const Index row = row_of(i), column = column_of(chunk);
        Chunk<T, store_width> numbers{};
        if (product.from != nullptr && row < product.c.rows && column < product.c.cols) {
          numbers = load<store_width>(product.from + (row * product.step + column));
        }
        CHAINRULE_UNROLLED
        for (int q = 0; q < store_width; ++q) sums_[i][chunk * store_width + q] = numbers.at[q];
      }
    }
  }

  /// Adds the terms of a pair of panels. The compiler fuses each product with its addition.
  __device__ void add(const Panels<T, shape>& panels) {
    CHAINRULE_UNROLLED
    for (int p = 0; p < shape.depth; ++p) {
      T a[shape.rows_each], b[shape.columns_each];
      Down::load(panels.a[p], down_, a);
      Across::load(panels.b[p], across_, b);
      CHAINRULE_UNROLLED
      for (int i = 0; i < shape.rows_each; ++i) {
        CHAINRULE_UNROLLED
        for (int j = 0; j < shape.columns_each; ++j) sums_[i][j] = sums_[i][j] + a[i] * b[j];
      }
    }
  }

  /// Stores g of the sums. The loop over rows is not unrolled: they take turns in the first, by moves between
  /// registers.
  __device__ void finish(const Product<T>& product) {
    CHAINRULE_ROLLED
    for (int i = 0; i < shape.rows_each; ++i) {
      activate(product.activation, sums_[0]);
      const Index row = row_of(i);
      CHAINRULE_UNROLLED
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const Index column = column_of(chunk);
        Chunk<T, store_width> numbers;
        CHAINRULE_UNROLLED
        for (int q = 0; q < store_width; ++q) numbers.at[q] = sums_[0][chunk * store_width + q];
        if (row < product.c.rows && column < product.c.cols) {
          cuda::store(numbers, product.c.data + (row * product.c.stride + column));
        }
      }
      CHAINRULE_UNROLLED
      for (int next = 1; next < shape.rows_each; ++next) {
        CHAINRULE_UNROLLED
        for (int j = 0; j < shape.columns_each; ++j) sums_[next - 1][j] = sums_[next][j];
      }
    }
  }

private:
  __device__ Index row_of(int i) const {
    return tile_.row(shape) + Down::place(down_, i / Down::width) + i % Down::width;
  }
  __device__ Index column_of(int chunk) const {
    const int j = chunk * store_width;
    return tile_.column(shape) + Across::place(across_, j / Across::width) + j % Across::width;
  }

  TilePlace tile_;
  int down_, across_;
  T sums_[shape.rows_each][shape.columns_each];
};

} // namespace chainrule::cuda
