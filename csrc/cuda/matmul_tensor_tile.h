// One tile of a matrix product on tensor cores: what a block of threads computes.
//
//   c = g(from + sum over p of round(a[:, p]) round(b[p, :])), or without g, and with the old c as `from`
//
// Factors are rounded (mma.h) when they go to shared memory, once for each block. There a panel consists of words, of
// one term of the sum in TF32 and of two in bfloat16: a slab has 16 words of every line, which is a row of a or a
// column of b, and a panel as many slabs as the tile leaves room for. From words on, both precisions are one code:
// eight words of a line go into an instruction.
//
// Which lines and which terms of a panel an instruction calls its first, second, ... is free, if a, b and c agree.
// Here:
//   terms   of four neighbouring words of a line, the first two are words t and t + 4 of one instruction, the last two
//           those of the next
//   lines   of two neighbouring rows of a, the first is row g of an instruction and the second row g + 8; of two
//           neighbouring columns of b, the first is column g of one instruction and the second column g of another
// All that a lane needs of a for an instruction, and of b for two, then lies in 16 bytes, in the order of its
// registers; and of c it has four neighbours in each row. The order of a sum's terms is changed by this, always in the
// same way.
//
// `from` is added in the end, by one rounding to nearest: tensor cores may round worse.
#pragma once

#include "cuda/matmul_plan.h"
#include "cuda/mma.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {

/// Sizes of a tile: its part of c, the slabs of a panel, and how many blocks a multiprocessor must have the registers
/// for. Four warps share it, two down and two across.
struct TensorShape {
  int rows, columns, slabs, blocks;

  static constexpr int warps_down = 2, warps_across = 2;
  static constexpr int threads() { return warps_down * warps_across * warp_threads; }
  constexpr int warp_rows() const { return rows / warps_down; }
  constexpr int warp_columns() const { return columns / warps_across; }
  /// What a word of the sum costs, in 64ths of a cycle: instructions, of which each of the four parts of a
  /// multiprocessor does one of 16 x 8 elements and 8 words in 8 cycles; what warps read from shared memory, 128 bytes
  /// a cycle; what they write there. By these rates, not by measurement.
  constexpr Index cost() const {
    const Index lines = rows + columns;
    return rows * columns / 8 + 4 * lines + 2 * lines;
  }
};

/// How a lane reads and writes shared memory: `quad` words, 16 bytes.
inline constexpr int quad = 4;
using Quad = Chunk<unsigned, quad>;
inline constexpr int slab_quads = 4; // of a line: a lane of four has one

/// The terms of a slab.
template <class Rounding> constexpr int slab_terms() { return slab_quads * quad * Rounding::terms; }

/// A panel of a factor, of so many lines. A quad here has two words of each of two lines; the halves of a slab are what
/// one instruction takes. A warp reads eight pairs of lines at once, 512 bytes without a gap: no two of the lanes that
/// are served together need the same bank.
template <int lines, int slabs> struct TensorPanel {
  static constexpr int pairs = lines / 2;
  Quad quads[slabs][2][pairs][slab_quads];

  // A lane writes two neighbouring pairs of lines, one after the other, and the next lane the next two. Of every other
  // lane the two change places: else lanes that are served together would need the same banks.
  __device__ static int place(int pair) { return pair ^ (pair >> 1 & 1); }
};

template <TensorShape shape> struct TensorPanels {
  TensorPanel<shape.rows, shape.slabs> a;
  TensorPanel<shape.columns, shape.slabs> b;
};

enum class Role { a, b };

/// One thread's share of the panels of a factor, on their way from memory to shared memory: four words in each of four
/// lines. They come from memory as squares of 4 x 4 numbers, one for each term of a word, by loads of `width` numbers.
/// Numbers beyond the matrix are 0.
template <class Rounding, Role role, int lines, int slabs, int width> class TensorCarrier {
  static constexpr int square = 4, squares = Rounding::terms, square_terms = slab_quads * square;
  static constexpr int panel_terms = slabs * slab_terms<Rounding>();
  static_assert(lines / square * slab_quads * slabs == TensorShape::threads(), "each thread carries one share");
  static_assert(square % width == 0, "squares consist of whole loads");

public:
  /// For the panels at line `first` of `total`, from the first term of the sum. Four lanes take neighbouring squares
  /// along the sum, eight across it: memory is read 64 bytes at a time or more, however it lies.
  __device__ TensorCarrier(const Lines<float>& factor, Index first, Index total) : factor_(factor) {
    const int thread = static_cast<int>(threadIdx.x), group = thread / slab_quads;
    quad_ = thread % slab_quads;
    pair_ = group % (lines / square) * 2;
    slab_ = group / (lines / square);
    term_ = slab_ * slab_terms<Rounding>() + quad_ * square;
    const Index line = first + pair_ * 2, lines_left = total - line;
    lines_left_ = lines_left < square ? static_cast<int>(lines_left) : square;
    offset_ = factor.along_sum ? line * factor.stride + term_ : line + term_ * factor.stride;
  }

  /// Asks for the next panel, of a sum of which `left` terms are left.
  __device__ void load(Index left) {
    CHAINRULE_HIDDEN(offset_); // else the compiler would keep a pointer for each load, in more registers than there are
    const int terms_left = (left < panel_terms ? static_cast<int>(left) : panel_terms) - term_;
    CHAINRULE_UNROLLED
    for (int s = 0; s < squares; ++s) {
      const int square_left = terms_left - s * square_terms;
      const int rows = factor_.along_sum ? lines_left_ : square_left; // of memory
      const int length = factor_.along_sum ? square_left : lines_left_;
      const float* row = factor_.data + (offset_ + s * square_terms * term_step());
      CHAINRULE_UNROLLED
      for (int i = 0; i < square; ++i) {
        load_row(row, i < rows ? length : 0, carried_[s][i]);
        row += factor_.stride;
      }
    }
    offset_ += panel_terms * term_step();
  }

  /// Rounds it and puts it into shared memory.
  __device__ void store(TensorPanel<lines, slabs>& panel) const {
    if (factor_.along_sum) {
      store_words<true>(panel);
    } else {
      store_words<false>(panel);
    }
  }

private:
  __device__ Index term_step() const { return factor_.along_sum ? 1 : factor_.stride; }

  __device__ static void load_row(const float* row, int length, float (&numbers)[square]) {
    CHAINRULE_UNROLLED
    for (int place = 0; place < square; place += width) {
      Chunk<float, width> chunk{};
      if (place < length) chunk = cuda::load<width>(row + place);
      CHAINRULE_UNROLLED
      for (int q = 0; q < width; ++q) numbers[place + q] = chunk.at[q];
    }
  }

  /// Word w of a line of this share.
  template <bool along_sum> __device__ unsigned word(int line, int w) const {
    float numbers[Rounding::terms];
    CHAINRULE_UNROLLED
    for (int q = 0; q < Rounding::terms; ++q) {
      const int term = w * Rounding::terms + q;
      const auto& from = carried_[term / square];
      numbers[q] = along_sum ? from[line][term % square] : from[term % square][line];
    }
    return Rounding::word(numbers);
  }

  template <bool along_sum> __device__ void store_words(TensorPanel<lines, slabs>& panel) const {
    CHAINRULE_UNROLLED
    for (int half = 0; half < 2; ++half) {
      CHAINRULE_UNROLLED
      for (int pair = 0; pair < 2; ++pair) {
        Quad words;
        CHAINRULE_UNROLLED
        for (int q = 0; q < quad; ++q) { // in the order of the registers, in which a alternates between lines
          const int line = role == Role::a ? q % 2 : q / 2, w = role == Role::a ? q / 2 : q % 2;
          words.at[q] = word<along_sum>(pair * 2 + line, half * 2 + w);
        }
        panel.quads[slab_][half][panel.place(pair_ + pair)][quad_] = words;
      }
    }
  }

  Lines<float> factor_;
  int slab_, pair_, quad_; // where in the panel: pairs pair_ and pair_ + 1
  int term_, lines_left_;
  Index offset_; // of the first number of the next panel
  float carried_[squares][square][square];
};

/// The sums of one thread.
template <class Rounding, TensorShape shape, int width> class TensorSums {
  static constexpr int down = shape.warp_rows() / 16, across = shape.warp_columns() / 16;

public:
  /// For a tile of c. The sums begin at 0.
  __device__ explicit TensorSums(TilePlace tile) : tile_(tile) {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_threads;
    group_ = thread % warp_threads / 4;
    lane_ = thread % 4;
    row_ = warp / TensorShape::warps_across * shape.warp_rows();
    column_ = warp % TensorShape::warps_across * shape.warp_columns();
  }

  /// Adds the terms of a pair of panels.
  __device__ void add(const TensorPanels<shape>& panels) {
    CHAINRULE_UNROLLED
    for (int slab = 0; slab < shape.slabs; ++slab) {
      CHAINRULE_UNROLLED
      for (int half = 0; half < 2; ++half) {
        add_half(first_quad(panels.a, slab, half, row_), first_quad(panels.b, slab, half, column_));
      }
    }
  }

  /// Stores g of the sums and `from`. The loops are not unrolled, so that each formula stands here once: groups of rows
  /// take turns in the first place, and so do the sums of a group, by moves between registers.
  __device__ void finish(const Product<float>& product) {
    CHAINRULE_ROLLED
    for (int i = 0; i < down; ++i) {
      const Index row = tile_.row(shape) + row_ + i * 16 + group_ * 2;
      const Index column = tile_.column(shape) + column_ + lane_ * 4;
      if (product.from != nullptr) add_from(product, row, column);
      CHAINRULE_ROLLED
      for (int j = 0; j < across; ++j) {
        store(product, row, column + j * 16);
        CHAINRULE_UNROLLED
        for (int next = 1; next < across; ++next) sums_[0][next - 1] = sums_[0][next];
      }
      CHAINRULE_UNROLLED
      for (int next = 1; next < down; ++next) {
        CHAINRULE_UNROLLED
        for (int j = 0; j < across; ++j) sums_[next - 1][j] = sums_[next][j];
      }
    }
  }

private:
  // What two instructions give a lane of 16 x 16 elements: two neighbouring rows of four neighbours, of which each
  // instruction has every other one.
  struct Pair {
    float of[2][4];

    __device__ float& at(int row, int column) { return of[column % 2][row * 2 + column / 2]; }
  };

  /// What the calling lane reads first of half a slab, from `line` on; what it reads next lies 16 lines further.
  template <class Panel> __device__ const Quad* first_quad(const Panel& panel, int slab, int half, int line) const {
    return &panel.quads[slab][half][line / 2 + panel.place(group_)][lane_];
  }

  __device__ void add_half(const Quad* from_a, const Quad* from_b) {
    constexpr int step = 8 * slab_quads; // 16 lines
    Quad a[down];
    CHAINRULE_UNROLLED
    for (int i = 0; i < down; ++i) a[i] = from_a[i * step];
    CHAINRULE_UNROLLED
    for (int j = 0; j < across; ++j) {
      const Quad b = from_b[j * step];
      CHAINRULE_UNROLLED
      for (int i = 0; i < down; ++i) {
        Rounding::multiply_add(sums_[i][j].of[0], a[i].at, {b.at[0], b.at[1]});
        Rounding::multiply_add(sums_[i][j].of[1], a[i].at, {b.at[2], b.at[3]});
      }
    }
  }

  /// Adds `from` to the first group of rows: all loads at once, so that the waits for them run side by side.
  __device__ void add_from(const Product<float>& product, Index row, Index column) {
    Chunk<float, width> from[across][8 / width] = {};
    CHAINRULE_UNROLLED
    for (int j = 0; j < across; ++j) {
      CHAINRULE_UNROLLED
      for (int place = 0; place < 8; place += width) {
        const Index at_row = row + place / 4, at_column = column + j * 16 + place % 4;
        if (at_row < product.c.rows && at_column < product.c.cols) {
          from[j][place / width] = load<width>(product.from + (at_row * product.step + at_column));
        }
      }
    }
    CHAINRULE_UNROLLED
    for (int j = 0; j < across; ++j) {
      CHAINRULE_UNROLLED
      for (int place = 0; place < 8; ++place) {
        sums_[0][j].at(place / 4, place % 4) += from[j][place / width].at[place % width];
      }
    }
  }

  /// Stores g of the first pair of rows.
  __device__ void store(const Product<float>& product, Index row, Index column) {
    float numbers[8];
    CHAINRULE_UNROLLED
    for (int place = 0; place < 8; ++place) numbers[place] = sums_[0][0].at(place / 4, place % 4);
    activate(product.activation, numbers);
    CHAINRULE_UNROLLED
    for (int place = 0; place < 8; place += width) {
      Chunk<float, width> chunk;
      CHAINRULE_UNROLLED
      for (int q = 0; q < width; ++q) chunk.at[q] = numbers[place + q];
      const Index at_row = row + place / 4, at_column = column + place % 4;
      if (at_row < product.c.rows && at_column < product.c.cols) {
        cuda::store(chunk, product.c.data + (at_row * product.c.stride + at_column));
      }
    }
  }

  TilePlace tile_;
  int row_, column_, group_, lane_; // of the warp in the tile; of the lane in the warp, eight groups of four lanes
  Pair sums_[down][across] = {};
};

} // namespace chainrule::cuda
