// Constraints on the columns of a weight matrix, each the incoming weights w of a unit, on the GPU.
//
//   max_norm      w <- w c / |w| where |w| > c        unit_norm  w <- w / |w| where |w| > 0
//   non_negative  w <- max(w, 0), NaN stays NaN
//
// The squares of a norm are summed in double precision, from the first row to the last: no weight in single precision
// is too large or too small for that. A column that obeys, or that has a NaN, is not written: it keeps its bits.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

// What a column of that norm is multiplied by.
struct MaxNorm {
  double limit;
  __device__ double operator()(double norm) const { return norm > limit ? limit / norm : 1; }
};
struct UnitNorm {
  __device__ double operator()(double norm) const { return norm > 0 ? 1 / norm : 1; }
};

template <class T, class Factor> __global__ void scale_columns(MatrixView<T> w, Factor factor_of) {
  __shared__ StripTiles<double> tiles;
  const StripShare share = strip_share(blockIdx.x, w.cols);
  T* column = w.data + share.column;
  const double squares = strip_sum(tiles, w.rows, 0.0, [&](Index i) {
    const double weight = column[i * w.stride];
    return weight * weight;
  });
  const double factor = factor_of(std::sqrt(squares));
  if (factor == 1 || !share.writes) return;
  for (Index i = share.first_row; i < w.rows; i += strip_warps) {
    T& weight = column[i * w.stride];
    weight = static_cast<T>(factor * static_cast<double>(weight));
  }
}

template <class T> struct NonNegative {
  MatrixView<T> w;
  __device__ void operator()(Index e) const {
    T& weight = w.data[e / w.cols * w.stride + e % w.cols];
    if (weight < 0) weight = 0;
  }
};

template <class T, class Factor> void scale_columns_by(Factor factor, const MatrixView<T>& w) {
  launch("constrain_columns", scale_columns<T, Factor>, strips_of(w.cols), block_threads, w, factor);
}

template <class T>
void constrain_columns(const Team&, ColumnConstraint constraint, double limit, const MatrixView<T>& w) {
  switch (constraint) {
  case ColumnConstraint::max_norm:
    return scale_columns_by(MaxNorm{limit}, w);
  case ColumnConstraint::unit_norm:
    return scale_columns_by(UnitNorm{}, w);
  case ColumnConstraint::non_negative:
    return for_elements("constrain_columns", w.size(), NonNegative<T>{w});
  }
}

} // namespace

void list_constrain(Device& device) {
  device.float32.constrain_columns = constrain_columns<float>;
  device.float64.constrain_columns = constrain_columns<double>;
}

} // namespace chainrule::cuda
