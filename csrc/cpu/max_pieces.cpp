// The greatest of several pieces, unit by unit, forward and backward.
//
//   h_j = max over k of z_(k d + j)          dz_(k d + j) = dh_j where k is the first of the greatest, 0 elsewhere
//
// A NaN counts as greater than any number, as it does for NumPy: it is not lost.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// Where `piece` takes the place of the greatest before it.
template <class T> Mask<T> is_greater(Vec<T> piece, Vec<T> best) {
  const Mask<T> is_number = piece == piece, best_is_number = best == best;
  return {(piece > best).bits | (~is_number.bits & best_is_number.bits)};
}

template <class T> void max_pieces_forward(const Team& team, const MatrixView<const T>& z, const MatrixView<T>& h) {
  const Range rows = team.share(h.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    each_vector<T>({0, h.cols}, [&](Index j, auto part) {
      Vec<T> best = load(z.row(i) + j, part);
      for (Index column = j + h.cols; column < z.cols; column += h.cols) {
        const Vec<T> piece = load(z.row(i) + column, part);
        best = select(is_greater(piece, best), piece, best);
      }
      store(best, h.row(i) + j, part);
    });
  }
}

template <class T>
void max_pieces_backward(const Team& team, const MatrixView<const T>& z, const MatrixView<const T>& dh,
                         const MatrixView<T>& dz) {
  using Numbers = typename Vec<T>::Bits;
  using Number = typename Vec<T>::Bit;
  const Range rows = team.share(dh.rows);
  const auto pieces = static_cast<Number>(dh.cols > 0 ? z.cols / dh.cols : 0);
  for (Index i = rows.begin; i < rows.end; ++i) {
    each_vector<T>({0, dh.cols}, [&](Index j, auto part) {
      Vec<T> best = load(z.row(i) + j, part);
      Numbers chosen{}; // all pieces are read before one is written: dz may be z
      for (Number k = 1; k < pieces; ++k) {
        const Vec<T> piece = load(z.row(i) + k * dh.cols + j, part);
        const Mask<T> better = is_greater(piece, best);
        best = select(better, piece, best);
        chosen = better.bits ? Numbers{} + k : chosen;
      }
      const Vec<T> slope = load(dh.row(i) + j, part);
      for (Number k = 0; k < pieces; ++k) {
        const Mask<T> takes{(Numbers)(chosen == k)};
        store(select(takes, slope, Vec<T>(0)), dz.row(i) + k * dh.cols + j, part);
      }
    });
  }
}

} // namespace

void list_max_pieces(Device& device) {
  device.float32.max_pieces_forward = max_pieces_forward<float>;
  device.float64.max_pieces_forward = max_pieces_forward<double>;
  device.float32.max_pieces_backward = max_pieces_backward<float>;
  device.float64.max_pieces_backward = max_pieces_backward<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
