// Losses of one element, summed over each row, with the gradient in the same pass, on the GPU: formulas/losses.h, a
// warp for each row.
//
// A lane writes the gradient of the very elements that it read, after them: dp may lie where p lies.
#include "cuda/number.h"
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

template <class T, class Formula> struct Rows {
  Formula formula;
  MatrixView<const T> p, y;
  const T* weight;
  double scale;
  T* row_loss;
  MatrixView<T> dp;
  __device__ void operator()(Index i, int lane) const {
    const T factor = row_factor(scale, weight, i);
    T sum = 0;
    for (Index j = lane; j < p.cols; j += warp_threads) {
      const Number<T> prediction(p.data[i * p.stride + j]), target(y.data[i * y.stride + j]);
      sum += formula.value(prediction, target).v;
      if (dp.data != nullptr) dp.data[i * dp.stride + j] = factor * formula.slope(prediction, target).v;
    }
    sum = warp_sum(sum);
    if (lane == 0) row_loss[i] = factor * sum;
  }
};

template <class T>
void element_loss(const Team&, ElementLoss loss, const MatrixView<const T>& p, const MatrixView<const T>& y,
                  const T* weight, double scale, T* row_loss, const MatrixView<T>& dp) {
  with_formula(loss, [&](auto formula) {
    for_rows("element_loss", p.rows, Rows<T, decltype(formula)>{formula, p, y, weight, scale, row_loss, dp});
  });
}

} // namespace

void list_element_loss(Device& device) {
  device.float32.element_loss = element_loss<float>;
  device.float64.element_loss = element_loss<double>;
}

} // namespace chainrule::cuda
