// The columns of a batch brought to mean 0 and variance 1, forward and backward, and their moments.
//
//   mu = x_0 + 1/B sum (x - x_0),   s2 = 1/B sum (x - mu)^2                x_0 the first row: no digits cancel
//   xhat = (x - mu) / sqrt(s2 + eps),   h = gamma xhat + beta
//   dbeta = sum dh,   dgamma = sum dh xhat
//   dx = gamma / sqrt(s2 + eps) (dh - dbeta / B - xhat dgamma / B)         without the sums where mu, s2 are given
//
// Every sum runs over the rows of a column, from the first to the last. A thread has whole columns, and goes through
// their rows in strips, so that what it keeps for each column stays close while a row's piece is contiguous.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

constexpr Index strip_columns = 256; // of which three arrays take 6 KB in double precision, of a cache of 32 KB

/// Calls body(strip) for one strip of the columns `share` after the other.
template <class Body> void each_strip(Range share, Body body) {
  for (Index begin = share.begin; begin < share.end; begin += strip_columns) {
    body(Range{begin, share.end - begin < strip_columns ? share.end : begin + strip_columns});
  }
}

template <class T> Vec<T> inverse_deviation(const T* variance, double epsilon, auto part) {
  return Vec<T>(1) / sqrt(load(variance, part) + Vec<T>(epsilon));
}

template <class T> void column_moments(const Team& team, const MatrixView<const T>& x, T* mean, T* variance) {
  const Vec<T> rows(x.rows);
  each_strip(team.share(x.cols, line_elements<T>), [&](Range strip) {
    auto each = [&](auto body) { each_vector<T>(strip, body); };
    each([&](Index j, auto part) { store(Vec<T>(0), mean + j, part); });
    for (Index i = 1; i < x.rows; ++i) {
      each([&](Index j, auto part) {
        const Vec<T> distance = load(x.row(i) + j, part) - load(x.row(0) + j, part);
        store(load(mean + j, part) + distance, mean + j, part);
      });
    }
    each([&](Index j, auto part) {
      store(load(x.row(0) + j, part) + load(mean + j, part) / rows, mean + j, part);
      store(Vec<T>(0), variance + j, part);
    });
    for (Index i = 0; i < x.rows; ++i) {
      each([&](Index j, auto part) {
        const Vec<T> distance = load(x.row(i) + j, part) - load(mean + j, part);
        store(load(variance + j, part) + distance * distance, variance + j, part);
      });
    }
    each([&](Index j, auto part) { store(load(variance + j, part) / rows, variance + j, part); });
  });
}

template <class T>
void normalize_forward(const Team& team, const MatrixView<const T>& x, const T* mean, const T* variance, double epsilon,
                       const T* gamma, const T* beta, const MatrixView<T>& h) {
  T inverse[strip_columns];
  each_strip(team.share(x.cols, line_elements<T>), [&](Range strip) {
    each_vector<T>(strip, [&](Index j, auto part) {
      store(inverse_deviation(variance + j, epsilon, part), inverse + (j - strip.begin), part);
    });
    for (Index i = 0; i < x.rows; ++i) {
      each_vector<T>(strip, [&](Index j, auto part) {
        const Vec<T> distance = load(x.row(i) + j, part) - load(mean + j, part);
        const Vec<T> xhat = distance * load(inverse + (j - strip.begin), part);
        store(load(gamma + j, part) * xhat + load(beta + j, part), h.row(i) + j, part);
      });
    }
  });
}

/// What the way back keeps for the columns of a strip.
template <class T> struct StripSums {
  T inverse[strip_columns];  // 1 / sqrt(variance + epsilon)
  T slopes[strip_columns];   // sum dh, later what dx subtracts for it
  T products[strip_columns]; // sum dh xhat, later the same
};

template <class T>
void normalize_backward(const Team& team, const MatrixView<const T>& x, const T* mean, const T* variance,
                        double epsilon, const T* gamma, const MatrixView<const T>& dh, bool moments_of_x, Write write,
                        T* dgamma, T* dbeta, const MatrixView<T>& dx) {
  StripSums<T> sums;
  each_strip(team.share(x.cols, line_elements<T>), [&](Range strip) {
    // Places of column j within the strip, and its xhat in row i.
    auto at = [&](T* array, Index j) { return array + (j - strip.begin); };
    auto xhat = [&](Index i, Index j, auto part) {
      return (load(x.row(i) + j, part) - load(mean + j, part)) * load(at(sums.inverse, j), part);
    };
    each_vector<T>(strip, [&](Index j, auto part) {
      store(inverse_deviation(variance + j, epsilon, part), at(sums.inverse, j), part);
      store(Vec<T>(0), at(sums.slopes, j), part);
      store(Vec<T>(0), at(sums.products, j), part);
    });
    for (Index i = 0; i < x.rows && (moments_of_x || dgamma != nullptr); ++i) {
      each_vector<T>(strip, [&](Index j, auto part) {
        const Vec<T> slope = load(dh.row(i) + j, part);
        store(load(at(sums.slopes, j), part) + slope, at(sums.slopes, j), part);
        store(load(at(sums.products, j), part) + slope * xhat(i, j, part), at(sums.products, j), part);
      });
    }
    if (dgamma != nullptr) {
      each_vector<T>(strip, [&](Index j, auto part) {
        Vec<T> products = load(at(sums.products, j), part), slopes = load(at(sums.slopes, j), part);
        if (write == Write::add) products = load(dgamma + j, part) + products, slopes = load(dbeta + j, part) + slopes;
        store(products, dgamma + j, part);
        store(slopes, dbeta + j, part);
      });
    }
    if (dx.data == nullptr) return;
    const Vec<T> share(1 / static_cast<double>(x.rows));
    auto subtracted = [&](Vec<T> sum) { return moments_of_x ? share * sum : Vec<T>(0); };
    each_vector<T>(strip, [&](Index j, auto part) {
      store(subtracted(load(at(sums.slopes, j), part)), at(sums.slopes, j), part);
      store(subtracted(load(at(sums.products, j), part)), at(sums.products, j), part);
    });
    for (Index i = 0; i < x.rows; ++i) {
      each_vector<T>(strip, [&](Index j, auto part) {
        Vec<T> slope = load(dh.row(i) + j, part) - load(at(sums.slopes, j), part);
        slope = slope - xhat(i, j, part) * load(at(sums.products, j), part);
        store(load(gamma + j, part) * load(at(sums.inverse, j), part) * slope, dx.row(i) + j, part);
      });
    }
  });
}

} // namespace

void list_normalize(Device& device) {
  device.float32.column_moments = column_moments<float>;
  device.float64.column_moments = column_moments<double>;
  device.float32.normalize_forward = normalize_forward<float>;
  device.float64.normalize_forward = normalize_forward<double>;
  device.float32.normalize_backward = normalize_backward<float>;
  device.float64.normalize_backward = normalize_backward<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
