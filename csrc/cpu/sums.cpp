// Sums of the columns of a matrix (the gradient of a bias). Work is cut by output column, never by the number of
// threads.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> void column_sum(const Team& team, MatrixView<const T> x, T* sum, Write write) {
  each_vector<T>(team.share(x.cols, line_elements<T>), [&](Index j, auto part) {
    Vec<T> total = write == Write::add ? load(sum + j, part) : Vec<T>(0);
    for (Index i = 0; i < x.rows; ++i) total = total + load(x.row(i) + j, part);
    store(total, sum + j, part);
  });
}

} // namespace

void list_sums(Device& device) {
  device.float32.column_sum = column_sum<float>;
  device.float64.column_sum = column_sum<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
