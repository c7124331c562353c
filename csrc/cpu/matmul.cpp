// Matrix products: c = g(a b + bias), or c += a b.
//
// Every element of c is one chain of multiply-adds along k, in order, whatever the tile, the block or the number of
// threads: blocks along k store c and pick it up again, which changes no bit.
//
// Two ways through the same micro-kernel (matmul_tile.h):
//   as it lies   b's rows are contiguous and b fits the cache: nothing is copied
//   packed       blocks of both factors are copied into panels that the tile reads without a stride: b transposed,
//                or too large for the cache (its rows would each touch another page)
#include "cpu/matmul_tile.h"
#include "cpu/operations.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }

// Blocks of the packed way. A panel of b, sum_length x one tile, streams through the first-level cache while a block
// of a, rows x sum_length, stays in the second level beside the block of b.
template <class T> struct CacheBlocks {
  static constexpr Index tile_cols = tile_vectors * Vec<T>::width;
  static constexpr Index sum_length = 256;
  static constexpr Index rows = 128;
  static constexpr Index cols = 768 * 4 / static_cast<Index>(sizeof(T));
  static_assert(rows % tile_rows == 0 && cols % tile_cols == 0, "blocks hold whole tiles");
  static_assert((rows + cols) * sum_length * sizeof(T) <= Team::scratch_bytes, "panels fit a member's scratch");
};

// Beyond this size of b, packing pays: the rest of a second-level cache of 1 MiB holds a and c.
constexpr Index unpacked_bytes = 768 * 1024;

// The part of c that one member computes --------------------------------------------------------------------------

struct Share {
  Range rows, cols;
};

/// Cuts c into a grid of members so that the largest part is as small as possible; of equal ones, the grid with most
/// columns, since then each member reads its own part of b.
template <class T> Share share_of(const Team& team, Index rows, Index cols) {
  constexpr Index width = Vec<T>::width;
  Index best_down = 1, best_cost = -1;
  for (Index down = 1; down <= team.size(); ++down) {
    if (team.size() % down != 0) continue;
    const Index across = team.size() / down;
    const Index part_rows = (rows + down - 1) / down;
    const Index part_cols = ((cols + width - 1) / width + across - 1) / across * width;
    const Index cost = part_rows * part_cols;
    if (best_cost < 0 || cost < best_cost) {
      best_cost = cost;
      best_down = down;
    }
  }
  const Index across = team.size() / best_down;
  return {Team::part(rows, 1, team.rank() / across, best_down), Team::part(cols, width, team.rank() % across, across)};
}

// The factors as the tile reads them ------------------------------------------------------------------------------

/// Element (i, j) of a factor lies at data[i * row + j * col].
template <class T> struct Strides {
  const T* data;
  Index row, col;
  const T* at(Index i, Index j) const { return data + i * row + j * col; }
};
template <class T> Strides<T> strides_of(Factor<T> factor) {
  const Index stride = factor.matrix.stride;
  return factor.transposed ? Strides<T>{factor.matrix.data, 1, stride} : Strides<T>{factor.matrix.data, stride, 1};
}

/// g applied to a tile that was just stored and is still in the first-level cache.
template <class T> void activate(Activation activation, Index rows, Index cols, T* c, Index c_row) {
  if (activation.kind == ActivationKind::identity) return;
  with_formula(activation, [&](auto formula) {
    for (Index i = 0; i < rows; ++i) {
      T* row = c + i * c_row;
      each_vector<T>({0, cols}, [&](Index j, auto part) { store(formula.value(load(row + j, part)), row + j, part); });
    }
  });
}

// As it lies ------------------------------------------------------------------------------------------------------

template <class T>
void multiply_as_it_lies(Strides<T> a, Strides<T> b, Index sum, MatrixView<T> c, Share share, bool add,
                         Epilogue<T> epilogue) {
  constexpr Index tile_cols = CacheBlocks<T>::tile_cols;
  for (Index j = share.cols.begin; j < share.cols.end; j += tile_cols) {
    const Index cols = smaller(tile_cols, share.cols.end - j);
    const TileStart<T> start{epilogue.bias != nullptr ? epilogue.bias + j : nullptr, add};
    for (Index i = share.rows.begin; i < share.rows.end; i += tile_rows) {
      const Index rows = smaller(tile_rows, share.rows.end - i);
      T* target = c.row(i) + j;
      run_tile<T>(rows, cols, {sum, a.at(i, 0), a.row, a.col, b.at(0, j), b.row}, target, c.stride, start);
      activate(epilogue.activation, rows, cols, target, c.stride);
    }
  }
}

// Packed ----------------------------------------------------------------------------------------------------------

/// Copies rows x sum of a into panels of tile_rows rows: panel (sum, tile_rows), so that the tile steps by 1 and
/// tile_rows. The rows that a last panel lacks are left as they are: no tile reads them.
template <class T> void pack_a(Strides<T> a, Range rows, Range sum, T* to) {
  for (Index i = rows.begin; i < rows.end; i += tile_rows, to += tile_rows * sum.size()) {
    const Index count = smaller(tile_rows, rows.end - i);
    if (a.row == 1) {
      for (Index p = 0; p < sum.size(); ++p) {
        const T* from = a.at(i, sum.begin + p);
        for (Index r = 0; r < count; ++r) to[p * tile_rows + r] = from[r];
      }
    } else {
      for (Index r = 0; r < count; ++r) {
        const T* from = a.at(i + r, sum.begin);
        for (Index p = 0; p < sum.size(); ++p) to[p * tile_rows + r] = from[p * a.col];
      }
    }
  }
}

/// Copies sum x cols of b into panels of tile_cols columns: panel (sum, tile_cols).
template <class T> void pack_b(Strides<T> b, Range sum, Range cols, T* to) {
  constexpr Index tile_cols = CacheBlocks<T>::tile_cols;
  for (Index j = cols.begin; j < cols.end; j += tile_cols, to += tile_cols * sum.size()) {
    const Index count = smaller(tile_cols, cols.end - j);
    if (b.col == 1) {
      for (Index p = 0; p < sum.size(); ++p) {
        const T* from = b.at(sum.begin + p, j);
        T* row = to + p * tile_cols;
        each_vector<T>({0, count}, [&](Index q, auto part) { store(load(from + q, part), row + q, part); });
      }
    } else {
      // A transposed factor, in squares of 16: they read whole lines and keep the lines that they write in reach.
      constexpr Index square = 16;
      for (Index p0 = 0; p0 < sum.size(); p0 += square) {
        const Index p1 = smaller(p0 + square, sum.size());
        for (Index q = 0; q < count; ++q) {
          const T* from = b.at(sum.begin, j + q);
          for (Index p = p0; p < p1; ++p) to[p * tile_cols + q] = from[p * b.row];
        }
      }
    }
  }
}

template <class T>
void multiply_packed(T* scratch, Strides<T> a, Strides<T> b, Index sum, MatrixView<T> c, Share share, bool add,
                     Epilogue<T> epilogue) {
  constexpr Index tile_cols = CacheBlocks<T>::tile_cols;
  T* const packed_a = scratch;
  T* const packed_b = scratch + CacheBlocks<T>::rows * CacheBlocks<T>::sum_length;

  // The loops, from the outside: columns of b, blocks of the sum, blocks of rows, panels of b, tiles.
  for (Index j0 = share.cols.begin; j0 < share.cols.end; j0 += CacheBlocks<T>::cols) {
    const Range cols{j0, smaller(j0 + CacheBlocks<T>::cols, share.cols.end)};
    for (Index p0 = 0; p0 == 0 || p0 < sum; p0 += CacheBlocks<T>::sum_length) {
      const Range terms{p0, smaller(p0 + CacheBlocks<T>::sum_length, sum)};
      const bool first = p0 == 0, last = terms.end == sum;
      pack_b(b, terms, cols, packed_b);
      for (Index i0 = share.rows.begin; i0 < share.rows.end; i0 += CacheBlocks<T>::rows) {
        const Range rows{i0, smaller(i0 + CacheBlocks<T>::rows, share.rows.end)};
        pack_a(a, rows, terms, packed_a);
        const T* panel_b = packed_b;
        for (Index j = cols.begin; j < cols.end; j += tile_cols, panel_b += tile_cols * terms.size()) {
          const Index tile_width = smaller(tile_cols, cols.end - j);
          const TileStart<T> start{first && epilogue.bias != nullptr ? epilogue.bias + j : nullptr, add || !first};
          const T* panel_a = packed_a;
          for (Index i = rows.begin; i < rows.end; i += tile_rows, panel_a += tile_rows * terms.size()) {
            const Index tile_height = smaller(tile_rows, rows.end - i);
            T* target = c.row(i) + j;
            run_tile<T>(tile_height, tile_width, {terms.size(), panel_a, 1, tile_rows, panel_b, tile_cols}, target,
                        c.stride, start);
            if (last) activate(epilogue.activation, tile_height, tile_width, target, c.stride);
          }
        }
      }
    }
  }
}

template <class T>
void matmul(const Team& team, Factor<T> a, Factor<T> b, MatrixView<T> c, Write write, Epilogue<T> epilogue) {
  const Share share = share_of<T>(team, c.rows, c.cols);
  if (share.rows.size() == 0 || share.cols.size() == 0) return;
  const Index sum = a.cols();
  const bool add = write == Write::add;
  const bool fits = sum * c.cols * static_cast<Index>(sizeof(T)) <= unpacked_bytes;
  if (!b.transposed && fits) {
    multiply_as_it_lies(strides_of(a), strides_of(b), sum, c, share, add, epilogue);
  } else {
    multiply_packed(reinterpret_cast<T*>(team.scratch()), strides_of(a), strides_of(b), sum, c, share, add, epilogue);
  }
}

} // namespace

void list_matmul(Device& device) {
  device.float32.matmul = matmul<float>;
  device.float64.matmul = matmul<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
