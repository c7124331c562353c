// Softmax of each row, forward and backward.
//
//   h_j = exp(z_j - m) / sum over i of exp(z_i - m),  m = max z       (the shift by m changes nothing but the range)
//   dz_j = h_j (dh_j - sum over i of h_i dh_i)
#include "cpu/narrow_rows.h"
#include "cpu/operations.h"
#include "cpu/softmax_row.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> void softmax_forward(const Team& team, const MatrixView<const T>& z, const MatrixView<T>& h) {
  const Range rows = team.share(z.rows);
  if (z.cols <= narrow_classes<T>) {
    NarrowRows<T> narrow;
    for (Index i = rows.begin; i < rows.end; i += Vec<T>::width) {
      const Index count = smaller(Vec<T>::width, rows.end - i);
      exponentials(z, i, count, narrow, [](Index, Vec<T>, Vec<T>) {});
      store_rows(narrow, i, count, h, [&](Index, Vec<T> e) { return e / narrow.total; });
    }
    return;
  }
  for (Index i = rows.begin; i < rows.end; ++i) {
    const double m = greatest_of_row(z.row(i), z.cols);
    const Vec<T> total(shifted_exponentials(z.row(i), m, h.row(i), z.cols));
    each_vector<T>({0, z.cols},
                   [&](Index j, auto part) { store(load(h.row(i) + j, part) / total, h.row(i) + j, part); });
  }
}

template <class T>
void softmax_backward(const Team& team, const MatrixView<const T>& h, const MatrixView<const T>& dh,
                      const MatrixView<T>& dz) {
  const Range rows = team.share(h.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    Vec<T> products(0);
    each_vector<T>({0, h.cols}, [&](Index j, auto part) {
      products = products + load(h.row(i) + j, part) * load(dh.row(i) + j, part);
    });
    const Vec<T> dot(sum_of_lanes(products));
    each_vector<T>({0, h.cols}, [&](Index j, auto part) {
      store(load(h.row(i) + j, part) * (load(dh.row(i) + j, part) - dot), dz.row(i) + j, part);
    });
  }
}

} // namespace

void list_softmax(Device& device) {
  device.float32.softmax_forward = softmax_forward<float>;
  device.float64.softmax_forward = softmax_forward<double>;
  device.float32.softmax_backward = softmax_backward<float>;
  device.float64.softmax_backward = softmax_backward<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
