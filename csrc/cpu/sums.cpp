// Sums: of the columns of a matrix (the gradient of a bias), of the losses of rows, of the blocks of a split sum. Work
// is cut by output, never by the number of threads: a single sum is the work of one.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> void column_sum(const Team& team, const MatrixView<const T>& x, T* sum, Write write) {
  each_vector<T>(team.share(x.cols, line_elements<T>), [&](Index j, auto part) {
    Vec<T> total = write == Write::add ? load(sum + j, part) : Vec<T>(0);
    for (Index i = 0; i < x.rows; ++i) total = total + load(x.row(i) + j, part);
    store(total, sum + j, part);
  });
}

template <class T> void accumulate(const Team& team, const T* x, Index n, double factor, double* total) {
  if (team.rank() != 0) return;
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  *total += factor * sum;
}

void sum_up(const Team& team, const double* blocks, Index n, double* sum) {
  if (team.rank() != 0) return;
  *sum = 0;
  for (Index i = 0; i < n; ++i) *sum += blocks[i];
}

} // namespace

void list_sums(Device& device) {
  device.float32.column_sum = column_sum<float>;
  device.float64.column_sum = column_sum<double>;
  device.float32.accumulate = accumulate<float>;
  device.float64.accumulate = accumulate<double>;
  device.float32.sum_up = sum_up;
  device.float64.sum_up = sum_up;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
