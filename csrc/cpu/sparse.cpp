// Products of sparse rows: z = g(s w + bias), and the gradient dw = s^T dz. Only elements of s that are kept are
// walked.
//
//   z_ij = g(bias_j + sum over the elements e of row i of value_e w_(column_e) j)
//   dw_cj = sum over rows i, and their elements e of column c, of value_e dz_ij
//
// Each element of z and of dw is one chain of multiply-adds in the order of the elements: z is shared out by rows, dw
// by columns, so no two members write to the same sum.
#include "cpu/operations.h"
#include "cpu/row_product.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T>
void sparse_product(const Team& team, const SparseRows<T>& s, MatrixView<const T> w, MatrixView<T> z,
                    Epilogue<T> epilogue) {
  const Range rows = team.share(z.rows), cols{0, z.cols};
  for (Index i = rows.begin; i < rows.end; ++i) {
    const Range kept = s.kept(i);
    const auto number = [&](Index e) { return s.values[kept.begin + e]; };
    const auto row = [&](Index e) { return w.row(s.columns[kept.begin + e]); };
    begin_row(epilogue.bias, cols, z.row(i));
    add_rows<T>(kept.size(), number, row, cols, z.row(i));
    activate(epilogue.activation, z, {i, i + 1}, cols);
  }
}

template <class T>
void sparse_gradient(const Team& team, const SparseRows<T>& s, MatrixView<const T> dz, MatrixView<T> dw, Write write) {
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

} // namespace

void list_sparse(Device& device) {
  device.sparse32 = {sparse_product<float>, sparse_gradient<float>};
  device.sparse64 = {sparse_product<double>, sparse_gradient<double>};
}

} // namespace chainrule::cpu::CHAINRULE_ISA
