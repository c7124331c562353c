// The greatest of several pieces, unit by unit, forward and backward, on the GPU: a thread for each unit of each row.
//
//   h_j = max over k of z_(k d + j)          dz_(k d + j) = dh_j where k is the first of the greatest, 0 elsewhere
//
// A NaN counts as greater than any number, as it does for NumPy: it is not lost.
#include "cuda/launch.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

/// Column, of a row of z, of unit j's greatest piece, the first of several. The pieces are `units` columns apart.
template <class T> __device__ Index greatest_piece(const T* row, Index columns, Index j, Index units) {
  Index chosen = j;
  T best = row[j];
  for (Index column = j + units; column < columns; column += units) {
    const T piece = row[column];
    if (piece > best || (piece != piece && best == best)) {
      best = piece;
      chosen = column;
    }
  }
  return chosen;
}

template <class T> struct Forward {
  MatrixView<const T> z;
  MatrixView<T> h;
  __device__ void operator()(Index element) const {
    const Index i = element / h.cols, j = element % h.cols;
    const T* const row = z.data + i * z.stride;
    h.data[i * h.stride + j] = row[greatest_piece(row, z.cols, j, h.cols)];
  }
};

template <class T> struct Backward {
  MatrixView<const T> z, dh;
  MatrixView<T> dz;
  __device__ void operator()(Index element) const {
    const Index units = dh.cols, i = element / units, j = element % units;
    // All pieces of the unit are read before one is written, and no other thread reads them: dz may be z.
    const Index chosen = greatest_piece(z.data + i * z.stride, z.cols, j, units);
    const T slope = dh.data[i * dh.stride + j];
    for (Index column = j; column < z.cols; column += units) {
      dz.data[i * dz.stride + column] = column == chosen ? slope : T(0);
    }
  }
};

template <class T> void max_pieces_forward(const Team&, const MatrixView<const T>& z, const MatrixView<T>& h) {
  for_elements("max_pieces_forward", h.size(), Forward<T>{z, h});
}

template <class T>
void max_pieces_backward(const Team&, const MatrixView<const T>& z, const MatrixView<const T>& dh,
                         const MatrixView<T>& dz) {
  for_elements("max_pieces_backward", dh.size(), Backward<T>{z, dh, dz});
}

} // namespace

void list_max_pieces(Device& device) {
  device.float32.max_pieces_forward = max_pieces_forward<float>;
  device.float64.max_pieces_forward = max_pieces_forward<double>;
  device.float32.max_pieces_backward = max_pieces_backward<float>;
  device.float64.max_pieces_backward = max_pieces_backward<double>;
}

} // namespace chainrule::cuda
