// Products of sparse rows: z = g(s w + bias), and the gradient dw = s^T dz. Only elements of s that are kept are
// walked.
//
//   z_ij = g(bias_j + sum over the elements e of row i of value_e w_(column_e) j)
//   dw_cj = sum over rows i, and their elements e of column c, of value_e dz_ij
//
// Both are sums of chosen rows of a matrix, which wait in registers, a strip of columns at a time. For the gradient the
// rows of s are turned first, so that the elements of a column lie together. Each element of z and of dw is one chain
// of multiply-adds in the order of the elements, whatever the way and whoever computes it.
#include "cpu/operations.h"
#include "cpu/row_product.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

// A strip of the other matrix is read again and again: of 200 rows it takes 25 KiB with AVX2.
constexpr int strip_vectors = 4;
template <class T> constexpr Index strip_cols = strip_vectors* Vec<T>::width;

/// `count` rows of a matrix, by number, and the factor of each.
template <class T> struct ChosenRows {
  Index count;
  const std::int32_t* rows;
  const T* factors;
};

/// to (VECTORS registers) = start + the sum of chosen rows, which begin at `from`; the last register is cut after
/// `edge` lanes if EDGE.
template <class T, int VECTORS, bool EDGE>
void sum_chosen(const ChosenRows<T>& chosen, const T* from, Index from_row, const T* start, T* to, Index edge) {
  constexpr Index width = Vec<T>::width;
  auto each = [&](auto body) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS - (EDGE ? 1 : 0); ++v) body(v, Full{});
    if constexpr (EDGE) body(VECTORS - 1, Partial{edge});
  };
  Vec<T> sums[VECTORS];
  each([&](int v, auto part) { sums[v] = start == nullptr ? Vec<T>(0) : load(start + v * width, part); });
  for (Index e = 0; e < chosen.count; ++e) {
    const T* const row = from + chosen.rows[e] * from_row;
    const Vec<T> factor(chosen.factors[e]);
    each([&](int v, auto part) { sums[v] = sums[v] + factor * load(row + v * width, part); });
  }
  each([&](int v, auto part) { store(sums[v], to + v * width, part); });
}

template <class T> using ChosenSum = void (*)(const ChosenRows<T>&, const T*, Index, const T*, T*, Index);

/// The sums of strips of every width, with and without an edge.
template <class T> struct ChosenSums {
  ChosenSum<T> at[strip_vectors][2];
  constexpr ChosenSums() : at{} { fill<1>(); }

private:
  template <int VECTORS> constexpr void fill() {
    at[VECTORS - 1][0] = &sum_chosen<T, VECTORS, false>;
    at[VECTORS - 1][1] = &sum_chosen<T, VECTORS, true>;
    if constexpr (VECTORS < strip_vectors) fill<VECTORS + 1>();
  }
};
template <class T> constexpr ChosenSums<T> chosen_sums;

/// Calls body(columns, sum) for the strips of `cols`; sum(chosen, start, to) sums chosen rows of the matrix, start and
/// to being where these rows of others begin.
template <class T, class Body> void each_strip(const MatrixView<const T>& matrix, Range cols, Body body) {
  constexpr Index width = Vec<T>::width;
  for (Index j = cols.begin; j < cols.end; j += strip_cols<T>) {
    const Range strip{j, smaller(j + strip_cols<T>, cols.end)};
    const Index vectors = (strip.size() + width - 1) / width, edge = strip.size() - (vectors - 1) * width;
    const ChosenSum<T> sum = chosen_sums<T>.at[vectors - 1][edge < width];
    body(strip, [&](const ChosenRows<T>& chosen, const T* start, T* to) {
      sum(chosen, matrix.data + j, matrix.stride, start == nullptr ? nullptr : start + j, to + j, edge);
    });
  }
}

template <class T>
void sparse_product(const Team& team, const SparseRows<T>& s, const MatrixView<const T>& w, const MatrixView<T>& z,
                    const Epilogue<T>& epilogue) {
  const Range rows = team.share(z.rows);
  each_strip(w, {0, z.cols}, [&](Range strip, auto sum) {
    for (Index i = rows.begin; i < rows.end; ++i) {
      const Range kept = s.kept(i);
      sum(ChosenRows<T>{kept.size(), s.columns + kept.begin, s.values + kept.begin}, epilogue.bias, z.row(i));
    }
    activate(epilogue.activation, z, rows, strip);
  });
}

// The gradient --------------------------------------------------------------------------------------------------------

/// Rows of s turned: for each column of a share the rows that have it, in their order, and the values.
template <class T> class TurnedRows {
public:
  static constexpr Index element_bytes = sizeof(T) + sizeof(std::int32_t);
  /// A second-level cache of the processors that we know.
  static constexpr Index most_bytes = 1 << 20;
  static_assert(most_bytes <= static_cast<Index>(Team::scratch_bytes));
  /// How many elements fit beside the ends of that many columns.
  static Index room(Index cols) {
    return (most_bytes - cols * static_cast<Index>(sizeof(std::int32_t))) / element_bytes;
  }

  /// The member's share of the columns of `rows` of s, with as many elements as that of any other.
  TurnedRows(const Team& team, const SparseRows<T>& s, Range rows)
      : values_(reinterpret_cast<T*>(team.scratch())), rows_(reinterpret_cast<std::int32_t*>(values_ + room(s.cols))),
        ends_(rows_ + room(s.cols)) {
    for (Index c = 0; c < s.cols; ++c) ends_[c] = 0;
    each(s, rows, [&](Index, Index e) { ++ends_[s.columns[e]]; });
    Index total = 0;
    for (Index c = 0; c < s.cols; ++c) total += ends_[c];
    cols_ = {0, 0};
    Index before = 0; // elements of the columns up to c
    for (Index c = 0; c < s.cols; ++c) {
      const Index here = ends_[c];
      if (before < total * team.rank() / team.size()) cols_.begin = c + 1;
      if (before < total * (team.rank() + 1) / team.size()) cols_.end = c + 1;
      before += here;
    }
    if (team.rank() + 1 == team.size()) cols_.end = s.cols;
    std::int32_t begin = 0;
    for (Index c = cols_.begin; c < cols_.end; ++c) {
      const std::int32_t count = ends_[c];
      ends_[c] = begin;
      begin += count;
    }
    each(s, rows, [&](Index i, Index e) {
      const Index c = s.columns[e];
      if (c < cols_.begin || c >= cols_.end) return;
      const std::int32_t place = ends_[c]++; // from where the column begins to where it ends
      rows_[place] = static_cast<std::int32_t>(i);
      values_[place] = s.values[e];
    });
  }

  Range cols() const { return cols_; }
  ChosenRows<T> column(Index c) const {
    const Index begin = c == cols_.begin ? 0 : ends_[c - 1];
    return {ends_[c] - begin, rows_ + begin, values_ + begin};
  }

private:
  template <class Body> static void each(const SparseRows<T>& s, Range rows, Body body) {
    for (Index i = rows.begin; i < rows.end; ++i) {
      const Range kept = s.kept(i);
      for (Index e = kept.begin; e < kept.end; ++e) body(i, e);
    }
  }

  T* values_;
  std::int32_t *rows_, *ends_;
  Range cols_;
};

/// Element by element, each adding a row of dz to one of dw: where most columns have no element, or hardly one.
template <class T>
void add_elements(const Team& team, const SparseRows<T>& s, const MatrixView<const T>& dz, const MatrixView<T>& dw,
                  Write write) {
  const Range cols = team.share(dw.cols, line_elements<T>);
  if (write == Write::overwrite) {
    for (Index c = 0; c < dw.rows; ++c) begin_row<T>(nullptr, cols, dw.row(c));
  }
  for (Index i = 0; i < dz.rows; ++i) {
    const Range kept = s.kept(i);
    for (Index e = kept.begin; e < kept.end; ++e) {
      add_rows<T>(
          1, [&](Index) { return s.values[e]; }, [&](Index) { return dz.row(i); }, cols, dw.row(s.columns[e]));
    }
  }
}

/// As many rows from `begin` as have `room` elements at most.
template <class T> Range rows_that_fit(const SparseRows<T>& s, Index begin, Index rows, Index room) {
  Index end = begin;
  for (Index elements = 0; end < rows; ++end) {
    elements += s.kept(end).size();
    if (elements > room) break;
  }
  return {begin, end};
}

template <class T>
void sparse_gradient(const Team& team, const SparseRows<T>& s, const MatrixView<const T>& dz, const MatrixView<T>& dw,
                     Write write) {
  Index elements = 0, longest = 0;
  for (Index i = 0; i < dz.rows; ++i) {
    const Index kept = s.kept(i).size();
    elements += kept;
    if (kept > longest) longest = kept;
  }
  // Turning pays where columns have some elements each, in every lot of rows.
  constexpr Index few = 4;
  const Index room = TurnedRows<T>::room(dw.rows);
  if (elements < few * dw.rows || longest > room || dw.rows > room) return add_elements(team, s, dz, dw, write);
  Range rows{0, 0};
  do {
    if (rows.end > 0) team.barrier(); // a column may be another member's in the next lot
    rows = rows_that_fit(s, rows.end, dz.rows, room);
    const TurnedRows<T> turned(team, s, rows);
    const bool overwrite = write == Write::overwrite && rows.begin == 0;
    each_strip(dz, {0, dw.cols}, [&](Range, auto sum) {
      for (Index c = turned.cols().begin; c < turned.cols().end; ++c) {
        sum(turned.column(c), overwrite ? nullptr : dw.row(c), dw.row(c));
      }
    });
  } while (rows.end < dz.rows);
}

} // namespace

void list_sparse(Device& device) {
  device.sparse32 = {sparse_product<float>, sparse_gradient<float>};
  device.sparse64 = {sparse_product<double>, sparse_gradient<double>};
}

} // namespace chainrule::cpu::CHAINRULE_ISA
