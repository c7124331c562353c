// Sums: of the columns of a matrix (the gradient of a bias), and of squares (penalties, norms).
//
// Work is cut by output column, or by blocks of a fixed size, never by the number of threads.
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

template <class T> void sum_squares(const Team& team, const T* x, Index n, double* blocks) {
  const Range share = team.share((n + sum_block - 1) / sum_block);
  for (Index block = share.begin; block < share.end; ++block) {
    const Index begin = block * sum_block;
    const Index count = n - begin < sum_block ? n - begin : sum_block;
    double totals[8] = {}; // eight chains, so that an addition need not wait for the one before
    for (Index i = 0; i < count; ++i)
      totals[i % 8] += static_cast<double>(x[begin + i]) * static_cast<double>(x[begin + i]);
    blocks[block] =
        ((totals[0] + totals[1]) + (totals[2] + totals[3])) + ((totals[4] + totals[5]) + (totals[6] + totals[7]));
  }
}

} // namespace

void list_sums(Device& device) {
  device.float32.column_sum = column_sum<float>;
  device.float64.column_sum = column_sum<double>;
  device.float32.sum_squares = sum_squares<float>;
  device.float64.sum_squares = sum_squares<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
