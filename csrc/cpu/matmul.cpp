// Matrix products: c = g(a b + bias), c = (a b) g'(h), or c += a b.
//
// Every element of c is one chain of multiply-adds along k, in order, whatever the tile, the block or the number of
// threads: blocks along k store c and pick it up again, which changes no bit. Where c has few rows and b alone is
// transposed, or one column and neither factor is, it is as many chains as a register has lanes, added up at the end;
// which of both, shape and instruction set decide.
//
// Three ways through the same micro-kernel (matmul_tile.h), and four past it:
//   as it lies   b's rows are contiguous, and few or short: nothing is copied
//   packed       panels of b, and blocks of a where they pay, are copied into the order in which the tile reads them
//                (matmul_pack.h): b is transposed, or its rows lie so far apart that they fall on the same places of
//                the cache
//   turned       c' = b' a', where b is transposed and larger than a and c, or a is and c has few columns
//   one row      b is read once, from its begin to its end
//   few rows     of a transposed b: dot products of its rows, which are read once
//   one column   dot products of a's rows, which are read once
//   one term     rows of c are written from their begin to their end
#include "cpu/matmul_pack.h"
#include "cpu/operations.h"
#include "cpu/row_product.h"
#include "cpu/turned.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

// Blocks of the packed way. A block is 4 KiB of the sum long: the longer, the less often c is stored and picked up
// again, which costs more than the caches win by short blocks. A panel of b, 4 KiB x one tile, takes 64 KiB in AVX2 and
// 192 in AVX-512 (in float64 half) and streams from the second-level cache through the first; the rows of a tile of a,
// read number by number, stay in the first. A block of b, 3 MiB, is read again by every 16 tiles of rows: seldom enough
// for a third-level cache. (Zen 4, blocks of 1 KiB and 24 tiles: 2048 x 2048 x 2048 1.06 times as slow in float32, 1.1
// in float64, AVX2 as AVX-512.)
template <class T> struct CacheBlocks {
  static constexpr Index sum_length = 4096 / static_cast<Index>(sizeof(T));
  static constexpr Index rows = 16 * tile_rows;
  static constexpr Index cols = 768;
  static_assert(cols % tile_cols<T> == 0, "blocks hold whole panels");
  static_assert(((rows + cols) * sum_length + pack_slack<T>)*sizeof(T) <= Team::scratch_bytes,
                "panels fit a member's scratch");
};

// When nothing is copied: b fits half of a first-level cache, or is hardly wider than a panel anyway, or too few tiles
// pass a panel to pay for its copy. (AVX2: 32 rows of 64 x 128 run at 86 GFLOP/s as they lie, 71 packed; 64 rows of 784
// x 128 at 67 and 79; the weight gradient of 32 rows of 512 x 512 at 0.9 of what it reaches packed, though b has but 64
// KiB: rows 2 KiB apart share few places of the cache.)
constexpr Index resident_bytes = 16 * 1024;
constexpr Index few_tiles = 8;
constexpr Index unpacked_bytes = 1536 * 1024; // beyond, the rows of b would each touch another page of a far cache
// Columns of c that are computed at a time where c is turned: whole tiles of each height, whole registers of each
// width.
constexpr Index turned_cols = 48;
// A transposed a is copied if so many panels of b use the copy. (AVX2, 512 rows of 2048 x 2048: 1.2 times as fast.)
constexpr Index many_panels = 16;

/// `total` things in as few groups of at most `most` as possible, all about as large.
class EvenGroups {
public:
  EvenGroups(Index total, Index most) : size_(total) {
    if (total <= most) return; // a division takes as long as ten multiply-adds
    count_ = (total + most - 1) / most;
    size_ = total / count_;
    longer_ = total % count_;
  }
  Index count() const { return count_; }
  Index total() const { return count_ * size_ + longer_; }
  Index size(Index group) const { return size_ + (group < longer_ ? 1 : 0); }

private:
  Index count_ = 1, size_, longer_ = 0; // the first groups are longer by one
};

// The part of c that one member computes ------------------------------------------------------------------------------

struct Share {
  Range rows, cols;
};

/// Cuts c into a grid of members so that the largest part is as small as possible. Of equal ones, the grid with most
/// columns, since then each member reads its own part of b; where a is transposed, that with most rows: c is then the
/// gradient of weights, and the update that follows cuts each array of them into flat parts, so that a member finds
/// rows of its own in its own caches. (Zen 4, two threads: 784-128-10 1.06, 64-128-64-10 1.04 times as fast.)
template <class T> Share share_of(const Team& team, Index rows, Index cols, bool prefers_rows) {
  constexpr Index width = Vec<T>::width;
  if (team.size() == 1) return {{0, rows}, {0, cols}};
  Index best_down = 1, best_cost = -1;
  for (Index down = 1; down <= team.size(); ++down) {
    if (team.size() % down != 0) continue;
    const Index across = team.size() / down;
    const Index part_rows = (rows + down - 1) / down;
    const Index part_cols = ((cols + width - 1) / width + across - 1) / across * width;
    const Index cost = part_rows * part_cols;
    if (best_cost < 0 || cost < best_cost || (prefers_rows && cost == best_cost)) {
      best_cost = cost;
      best_down = down;
    }
  }
  const Index across = team.size() / best_down;
  return {Team::part(rows, 1, team.rank() / across, best_down), Team::part(cols, width, team.rank() % across, across)};
}

// The slope of an activation ------------------------------------------------------------------------------------------

/// c <- c g'(h). A member does this to its share when it has computed it: nobody waits, and what fits is in its caches.
/// Tile by tile it would be slower (4-100-3, float64: 0.93): what was just stored is loaded again too soon.
template <class T>
void multiply_by_slopes(Activation activation, const T* h, const MatrixView<T>& c, Range rows, Range cols) {
  with_formula(activation, [&](auto formula) {
    auto along = [&](Index i, Range range) { // from the begin of row i
      T* const row = c.row(i);
      each_vector<T>(range, [&](Index j, auto part) {
        store(load(row + j, part) * formula.slope(load(h + i * c.cols + j, part)), row + j, part);
      });
    };
    if (cols.size() == c.cols) {
      along(rows.begin, {0, rows.size() * c.cols});
    } else {
      for (Index i = rows.begin; i < rows.end; ++i) along(i, cols);
    }
  });
}

/// What a product is made of, as every way through it needs it.
template <class T> struct Product {
  Strides<T> a, b;
  Index sum;
  MatrixView<T> c;
  bool add;
  Epilogue<T> epilogue;
  const Team& team;

  /// The start of the sums at c[i, j], in the first block of the sum or a later one.
  TileStart<T> start(bool first, Index i, Index j) const {
    if (add || !first) return {c.row(i) + j, c.stride};
    return {epilogue.bias != nullptr ? epilogue.bias + j : tile_zeros<T>, 0};
  }
  /// Computes a tile of c, at most one, and what follows after the last block of the sum.
  void compute(Range rows, Range cols, const TileInput<T>& in, bool first, bool last) const {
    team.prefetch();
    const bool relu = epilogue.activation.kind == ActivationKind::relu, slopes = epilogue.h != nullptr;
    const Index place = rows.begin * c.stride + cols.begin;
    run_tile<T>(rows.size(), cols.size(), in, start(first, rows.begin, cols.begin),
                {c.data + place, c.stride, last && relu && !slopes, last && slopes ? epilogue.h + place : nullptr});
    // Just stored, the tile is still in the first-level cache.
    if (last && !relu) activate(epilogue.activation, c, rows, cols);
  }
  /// What follows, on a part of c that no tile computed.
  void finish(Range rows, Range cols) const {
    if (epilogue.h != nullptr) {
      multiply_by_slopes(epilogue.activation, epilogue.h, c, rows, cols);
    } else {
      activate(epilogue.activation, c, rows, cols);
    }
  }
  /// Asks for the memory of the tile of c that comes next: its sums begin there, and wait if it is far away.
  void ask_for(Range rows, Index col) const {
    for (Index i = rows.begin; i < rows.end; ++i) {
      for (Index j = 0; j < tile_cols<T>; j += line_elements<T>) __builtin_prefetch(c.row(i) + col + j, 1);
    }
  }
};

// One row -------------------------------------------------------------------------------------------------------------

/// A tile of one row would be a few chains of additions, each waiting for the one before, and would read narrow strips
/// of b. So: row by row of b (row_product.h). (784-512-512-10: 43 us a prediction, 129 with panels.)
template <class T> void multiply_row(const Product<T>& product, Range cols) {
  const Strides<T>&a = product.a, &b = product.b;
  T* const c = product.c.row(0);
  if (!product.add) begin_row(product.epilogue.bias, cols, c);
  add_rows<T>(
      product.sum, [&](Index p) { return *a.at(0, p); }, [&](Index p) { return b.at(p, 0); }, cols, c);
  product.finish({0, 1}, cols);
}

// Few rows, of a transposed b -----------------------------------------------------------------------------------------

/// ROWS rows of c, or of c' if it is TURNED, each element the sum of a row of a times a row of b: lane by lane first,
/// then lane after lane. A register's lanes are that many elements of c: so many columns that the sums of all rows turn
/// into one register.
template <class T, Index ROWS, bool TURNED> void multiply_dots(const Product<T>& product, Index i, Range cols) {
  constexpr Index width = Vec<T>::width, group = width / ROWS;
  const Strides<T>&a = product.a, &b = product.b;
  for (Index j0 = cols.begin; j0 < cols.end; j0 += group) {
    const Index count = smaller(group, cols.end - j0);
    const T* columns[group];
    for (Index g = 0; g < group; ++g) columns[g] = b.at(0, j0 + smaller(g, count - 1));
    Vec<T> sums[width];
#pragma GCC unroll 16
    for (Index k = 0; k < width; ++k) sums[k] = Vec<T>(0);
    each_vector<T>({0, product.sum}, [&](Index p, auto part) {
      Vec<T> x[ROWS];
#pragma GCC unroll 8
      for (Index r = 0; r < ROWS; ++r) x[r] = load(a.at(i + r, p), part);
#pragma GCC unroll 16
      for (Index g = 0; g < group; ++g) {
        const Vec<T> y = load(columns[g] + p, part);
#pragma GCC unroll 8
        for (Index r = 0; r < ROWS; ++r) sums[g * ROWS + r] = sums[g * ROWS + r] + x[r] * y;
      }
    });
    product.team.prefetch();
    transpose(sums);
    for (Index k = 1; k < width; ++k) sums[0] = sums[0] + sums[k];
    alignas(alignment_bytes) T totals[width];
    store(sums[0], totals);
    for (Index g = 0; g < count; ++g) {
      for (Index r = 0; r < ROWS; ++r) {
        const Index row = TURNED ? j0 + g : i + r, col = TURNED ? i + r : j0 + g;
        product.c.row(row)[col] = *product.start(true, row, col).from + totals[g * ROWS + r];
      }
    }
  }
}

/// Whether dot products pay: what they gain for each term they lose where sums are turned, the more so the more rows a
/// tile would have had. (AVX-512, 256 columns, times the tile's speed in float32: one row, 32 terms 1.4, 256 terms 3.5;
/// two rows 64: 1.3, 256: 2.8; four rows 64: 0.7, 256: 1.9.)
constexpr Index few_rows = 4;
template <class T> bool dots_pay(Index rows, Index sum) {
  return rows <= few_rows && sum >= rows * rows * static_cast<Index>(Vec<T>::width);
}

/// The dot products of all rows of a share: of as many at once as may be.
template <class T, Index ROWS = few_rows>
void multiply_rows_by_dots(const Product<T>& product, Range rows, Range cols) {
  Index i = rows.begin;
  if constexpr (ROWS <= Vec<T>::width) {
    for (; i + ROWS <= rows.end; i += ROWS) multiply_dots<T, ROWS, false>(product, i, cols);
  }
  if constexpr (ROWS > 1) multiply_rows_by_dots<T, ROWS / 2>(product, {i, rows.end}, cols);
}

template <class T> void multiply_few_rows(const Product<T>& product, Share share) {
  multiply_rows_by_dots(product, share.rows, share.cols);
  product.finish(share.rows, share.cols);
}

// One column ----------------------------------------------------------------------------------------------------------

/// Whether dot products pay for a single column, where a tile has one lane to use. For any number of rows, so that a
/// row's prediction does not depend on those beside it. (AVX-512, 200 rows of 100 terms: a step of training of 10-100-1
/// is 1.10 times as fast in float64, 1.17 in float32; with its gradient turned too, 1.23 and 1.37. Two columns, which
/// would have to be copied: 1.03; for a single row they are slower.)
template <class T> bool column_by_dots(const Product<T>& product) {
  constexpr Index width = Vec<T>::width;
  const Index sum = product.sum;
  return product.c.cols == 1 && product.b.row == 1 && 2 * ((sum + width - 1) / width + 6) < sum;
}

/// c' = b' a': one row against the rows of a.
template <class T> void multiply_column(const Product<T>& product, Share share) {
  const Strides<T>&a = product.a, &b = product.b;
  const Product<T> turned{{b.data, 0, 1}, {a.data, a.col, a.row}, product.sum, product.c,
                          product.add,    product.epilogue,       product.team};
  multiply_dots<T, 1, true>(turned, 0, share.rows);
  product.finish(share.rows, share.cols);
}

// c' instead of c -----------------------------------------------------------------------------------------------------

/// Whether turning what lies across costs less for c' than for c, together with the lanes left empty. (AVX-512: a
/// number turned takes 1/2 cycle in float32, 1 in float64; so does every eighth empty lane, for each number of the
/// other factor.) An a that need not be turned is read where it lies, as often as there are tiles of c' one below the
/// other: two at most.
template <class T> bool turning_pays(const Product<T>& product, Share share) {
  constexpr Index width = Vec<T>::width;
  const Index rows = share.rows.size(), cols = share.cols.size(), sum = product.sum;
  const bool packs_a = product.a.row != 1, packs_b = product.b.col != 1;
  const Index padded_rows = (rows + width - 1) / width * width, padded_cols = (cols + width - 1) / width * width;
  const Index terms = turned_cols + (packs_a ? sum : 0);
  const Index bytes = (padded_rows + tile_cols<T>)*terms * static_cast<Index>(sizeof(T));
  const Index turned = 8 * rows * ((packs_a ? sum : 0) + cols) + (padded_rows - rows) * sum * cols;
  const Index straight = packs_b ? 8 * sum * cols : (padded_cols - cols) * sum * rows;
  return (packs_a || cols <= 2 * tile_rows) && !product.add && product.epilogue.bias == nullptr &&
         bytes <= static_cast<Index>(Team::scratch_bytes) && turned < straight;
}

/// c' = b' a', of which b' lies as a tile reads its first factor, and a' is packed, or has rows. A strip of c' waits
/// in scratch and is turned on its way to c. The terms of a sum and their order are those of the other ways.
template <class T> void multiply_turned(T* scratch, const Product<T>& product, Share share) {
  constexpr Index width = Vec<T>::width;
  const Strides<T>&a = product.a, &b = product.b;
  const EvenGroups across((share.rows.size() + width - 1) / width, tile_vectors);
  const Index stride = across.total() * width;
  const Index panel = product.sum * tile_cols<T>;
  const bool packs = a.row != 1;                    // a' has rows
  T* const turned_c = scratch;                      // (turned_cols, stride)
  T* const panels = scratch + turned_cols * stride; // across.count() times (sum, tile_cols)
  Index i = share.rows.begin;
  for (Index group = 0; packs && group < across.count(); ++group) {
    const Index end = smaller(i + across.size(group) * width, share.rows.end);
    pack_b<T>({a.data, a.col, a.row}, {0, product.sum}, i, end - i, panels + group * panel);
    i = end;
  }
  // Rows a multiple of 4 KiB apart share one set of a first-level cache, which has eight places or more.
  const bool crowded = b.col * static_cast<Index>(sizeof(T)) % 4096 == 0;
  for (Index j = share.cols.begin; j < share.cols.end; j += turned_cols) {
    const Range cols{j, smaller(j + turned_cols, share.cols.end)};
    T* c = turned_c;
    i = share.rows.begin;
    for (Index group = 0; group < across.count(); ++group) {
      const Index vectors = across.size(group), highest = tile_heights[vectors - 1];
      const EvenGroups down(cols.size(), crowded ? smaller(8, highest) : highest);
      Index row = 0;
      for (Index tile = 0; tile < down.count(); ++tile) {
        product.team.prefetch();
        TileInput<T> in{product.sum, b.at(0, j + row), b.col, b.row, panels + group * panel, tile_cols<T>};
        Index lanes = vectors * width;
        if (!packs) {
          in.b = a.at(i, 0);
          in.b_row = a.col;
          lanes = smaller(lanes, share.rows.end - i);
        }
        run_tile<T>(down.size(tile), lanes, in, {tile_zeros<T>, 0}, {c + row * stride, stride, false});
        row += down.size(tile);
      }
      c += vectors * width;
      i += vectors * width;
    }
    for (Index q = 0; q < share.rows.size(); q += width) {
      const Index count = smaller(width, share.rows.size() - q);
      T* const to = product.c.row(share.rows.begin + q);
      each_vector<T>({0, cols.size()}, [&](Index k, auto part) {
        Vec<T> x[width];
        load_turned(turned_c + k * stride + q, stride, smaller(width, cols.size() - k), count, x);
        for (Index t = 0; t < count; ++t) store(x[t], to + t * product.c.stride + j + k, part);
      });
    }
    product.finish(share.rows, cols);
  }
}

// One term ------------------------------------------------------------------------------------------------------------

/// c = start + a b, a column times a row: nothing is read twice, so c is written as memory likes best.
template <class T> void multiply_one_term(const Product<T>& product, Share share) {
  for (Index i = share.rows.begin; i < share.rows.end; ++i) {
    const Vec<T> number(*product.a.at(i, 0));
    const T* const b = product.b.at(0, 0);
    T* const c = product.c.row(i);
    each_vector<T>(share.cols, [&](Index j, auto part) {
      store(load(product.start(true, i, j).from, part) + number * load(b + j, part), c + j, part);
    });
  }
  product.finish(share.rows, share.cols);
}

// As it lies ----------------------------------------------------------------------------------------------------------

template <class T> void multiply_as_it_lies(const Product<T>& product, Share share) {
  constexpr Index width = Vec<T>::width;
  const Strides<T>&a = product.a, &b = product.b;
  const EvenGroups across((share.cols.size() + width - 1) / width, tile_vectors);
  Index j = share.cols.begin;
  for (Index group = 0; group < across.count(); ++group) {
    const Index vectors = across.size(group);
    const Range cols{j, smaller(j + vectors * width, share.cols.end)};
    const EvenGroups down(share.rows.size(), tile_heights[vectors - 1]);
    Index i = share.rows.begin;
    for (Index tile = 0; tile < down.count(); ++tile) {
      const Range rows{i, i + down.size(tile)};
      product.compute(rows, cols, {product.sum, a.at(i, 0), a.row, a.col, b.at(0, j), b.row}, true, true);
      i = rows.end;
    }
    j = cols.end;
  }
}

// Packed --------------------------------------------------------------------------------------------------------------

template <class T> void multiply_packed(T* scratch, const Product<T>& product, Share share) {
  using Blocks = CacheBlocks<T>;
  const Strides<T>&a = product.a, &b = product.b;
  T* const packed_a = scratch;
  T* const packed_b = scratch + Blocks::rows * Blocks::sum_length + pack_slack<T>;
  // Panels that no later block of rows will read take turns in the same place, which stays in the first-level cache.
  const Index panel_step = share.rows.size() <= Blocks::rows ? 0 : tile_cols<T>;
  const bool copy_a = a.row == 1 && share.cols.size() >= many_panels * tile_cols<T>;

  // The loops, from the outside: columns of b, blocks of the sum, blocks of rows, panels of b, tiles. The first block
  // of rows packs each panel of b just before it uses it.
  const EvenGroups blocks(product.sum, Blocks::sum_length);
  for (Index j0 = share.cols.begin; j0 < share.cols.end; j0 += Blocks::cols) {
    const Range cols{j0, smaller(j0 + Blocks::cols, share.cols.end)};
    Index p0 = 0;
    for (Index block = 0; block < blocks.count(); ++block) {
      const Range terms{p0, p0 + blocks.size(block)};
      const bool first = block == 0, last = block + 1 == blocks.count();
      for (Index i0 = share.rows.begin; i0 < share.rows.end; i0 += Blocks::rows) {
        const Range block_rows{i0, smaller(i0 + Blocks::rows, share.rows.end)};
        const EvenGroups down(block_rows.size(), tile_rows);
        if (copy_a) {
          Index i = i0;
          T* to = packed_a;
          for (Index tile = 0; tile < down.count(); ++tile) {
            const Index height = down.size(tile);
            pack_a(a, i, height, terms, to);
            i += height;
            to += height * terms.size();
          }
        }
        T* panel_b = packed_b;
        for (Index j = cols.begin; j < cols.end; j += tile_cols<T>, panel_b += panel_step * terms.size()) {
          const Range tile_span{j, smaller(j + tile_cols<T>, cols.end)};
          if (i0 == share.rows.begin) pack_b(b, terms, j, tile_span.size(), panel_b);
          Index i = i0;
          for (Index tile = 0; tile < down.count(); ++tile) {
            const Range rows{i, i + down.size(tile)};
            TileInput<T> in{terms.size(), a.at(i, terms.begin), a.row, a.col, panel_b, tile_cols<T>};
            if (copy_a) in = {terms.size(), packed_a + (i - i0) * terms.size(), 1, rows.size(), panel_b, tile_cols<T>};
            if (tile + 1 < down.count()) {
              product.ask_for({rows.end, rows.end + down.size(tile + 1)}, tile_span.begin);
            } else if (tile_span.end < cols.end) {
              product.ask_for({i0, i0 + down.size(0)}, tile_span.end);
            }
            product.compute(rows, tile_span, in, first, last);
            i = rows.end;
          }
        }
      }
      p0 = terms.end;
    }
  }
}

template <class T> void multiply(const Product<T>& product, const Factor<T>& a, const Factor<T>& b, Share share) {
  const MatrixView<T>& c = product.c;
  T* const scratch = reinterpret_cast<T*>(product.team.scratch());
  const Index b_bytes = product.sum * c.cols * static_cast<Index>(sizeof(T));
  const bool few = share.rows.size() <= few_tiles * tile_rows && b_bytes <= unpacked_bytes;
  if (!a.transposed && !b.transposed && column_by_dots(product)) {
    multiply_column(product, share);
  } else if (!b.transposed && c.rows == 1) {
    multiply_row(product, share.cols);
  } else if (b.transposed && !a.transposed && dots_pay<T>(c.rows, product.sum)) { // not by the share's rows
    multiply_few_rows(product, share);
  } else if (b.transposed != a.transposed && turning_pays(product, share)) {
    multiply_turned(scratch, product, share);
  } else if (!b.transposed && product.sum == 1) {
    multiply_one_term(product, share);
  } else if (!b.transposed && (few || b_bytes <= resident_bytes || c.cols <= tile_cols<T>)) {
    multiply_as_it_lies(product, share);
  } else {
    multiply_packed(scratch, product, share);
  }
}

template <class T>
void matmul(const Team& team, const Factor<T>& a, const Factor<T>& b, const MatrixView<T>& c, Write write,
            const Epilogue<T>& epilogue) {
  const Share share = share_of<T>(team, c.rows, c.cols, a.transposed);
  if (share.rows.size() == 0 || share.cols.size() == 0) return;
  Product<T> product{strides_of(a), strides_of(b), a.cols(), c, write == Write::add, epilogue, team};
  // Tiles know the slope of relu alone.
  const bool slopes_later = epilogue.h != nullptr && epilogue.activation.kind != ActivationKind::relu;
  if (slopes_later) product.epilogue = {};
  multiply(product, a, b, share);
  if (slopes_later && epilogue.activation.kind != ActivationKind::identity) {
    multiply_by_slopes(epilogue.activation, epilogue.h, c, share.rows, share.cols);
  }
}

} // namespace

void list_matmul(Device& device) {
  device.float32.matmul = matmul<float>;
  device.float64.matmul = matmul<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
