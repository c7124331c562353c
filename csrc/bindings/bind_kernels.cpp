// THE LIST for Python: one method an operation, with the names and arguments of chainrule.reference. The tests hold
// the two against each other for every instruction set; nothing else uses it.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "bindings/bind.h"
#include "bindings/sparse_runner.h"
#include "core/clock.h"
#include "core/named.h"
#include "nn/layers/layer_activation.h"

namespace chainrule::bindings {

namespace {

using Ints = Array<std::int32_t>;

constexpr Index random_elements = Index{1} << 34; // a stream has 2^32 blocks of four words

PenaltyTerm penalty_term_named(const std::string& name, double power) {
  const PenaltyTerm term{named<PenaltyTermKind>(penalty_term_names, "term", name), power};
  check(term.kind != PenaltyTermKind::power || power >= 1, "power must be at least 1; got ", power);
  return term;
}

/// The operations of a table.
template <class T> class Runner : public SparseRunner<T> {
  using Base = SparseRunner<T>;
  using Base::at, Base::device_, Base::filled, Base::kernels_, Base::on_gpu_, Base::result, Base::run, Base::shape_of;
  using Base::team_, Base::view;

public:
  using Base::Base;

  Array<T> matmul(const py::object& a_in, const py::object& b_in, bool transpose_a, bool transpose_b,
                  const py::object& bias_in, const std::string& activation, double parameter,
                  const py::object& slope_at, const py::object& add_to, const py::object& out) {
    const Array<T> a_array = array_of<T>(a_in, "a", {-1, -1}), b_array = array_of<T>(b_in, "b", {-1, -1});
    const Factor<T> a{view_of(a_array), transpose_a}, b{view_of(b_array), transpose_b};
    check(a.cols() == b.rows(), "a has ", a.cols(), " columns but b has ", b.rows(), " rows");
    const Shape shape{a.rows(), b.cols()};
    Array<T> c = out.is_none() ? result(add_to, "add_to", shape) : array_of<T>(out, "out", shape);
    check(out.is_none() || (add_to.is_none() && c.is(out) && c.writeable()),
          "out must be a writable, C-contiguous array, and alone, without add_to");
    const Activation g = activation_named(activation, parameter);
    std::optional<const Array<T>> bias;
    if (!bias_in.is_none()) bias.emplace(array_of<T>(bias_in, "bias", {b.cols()}));
    std::optional<const Array<T>> h;
    if (!slope_at.is_none()) h.emplace(array_of<T>(slope_at, "slope_at", shape));
    const Write write = add_to.is_none() ? Write::overwrite : Write::add;
    check(write == Write::overwrite || (!bias && g.kind == ActivationKind::identity),
          "a product that adds takes neither bias nor activation");
    check(write == Write::overwrite || !h, "a product that adds takes no slope_at");
    check(!h || !bias, "a product that is multiplied by slopes takes no bias");
    auto shared = [&](const MatrixView<const T>& matrix) { return overlap(matrix, view_of_mutable(c)); };
    check(!shared(a.matrix) && !shared(b.matrix) && !(h && shared(view_of(*h))),
          "out must not share memory with a, b or slope_at");
    run([&](const Team& team) {
      kernels_.matmul(team, {view(a_array), transpose_a}, {view(b_array), transpose_b}, view(c), write,
                      {.bias = bias ? at(*bias) : nullptr, .activation = g, .h = h ? at(*h) : nullptr});
    });
    return c;
  }

  /// Operations a second, in 10^9, of multiply-adds that touch no memory.
  double register_ceiling(double seconds) {
    check(seconds > 0 && seconds <= 1, "seconds must be above 0 and at most 1; got ", seconds);
    check(!on_gpu_, "the ceiling of a GPU is not measured here");
    constexpr Index rounds = 10000; // some 30 us: the clock costs nothing beside them
    Buffer<double> operations(team_.threads());
    double elapsed = 0;
    run([&](const Team& team) {
      const MultiplyAdds multiply_adds = device_.template multiply_adds<T>();
      team.barrier();
      const double begin = seconds_now();
      double own = 0;
      while (seconds_now() - begin < seconds) own += multiply_adds(rounds).operations;
      operations.data()[team.rank()] = own;
      team.barrier();
      if (team.rank() == 0) elapsed = seconds_now() - begin;
    });
    return std::accumulate(operations.data(), operations.data() + operations.size(), 0.0) / elapsed / 1e9;
  }

  /// Seconds of one product of random factors that lie on the GPU, by its clock: the mean of `rounds` in a row, one
  /// graph as the steps of training are. It waits behind a first one: no launch by the host is in its time.
  double matmul_seconds(Index m, Index n, Index k, bool transpose_a, bool transpose_b, Index rounds) {
    check(on_gpu_, "only a GPU has a clock of its own: time matmul() with out= instead");
    constexpr Index most = Index{1} << 16; // so that a matrix has fewer than 2^34 elements
    check(std::min({m, n, k}) >= 1 && std::max({m, n, k}) <= most, "m, n and k must be 1 to 65,536; got ", m, ", ", n,
          " and ", k);
    check(rounds >= 1 && rounds <= 1000, "rounds must be 1 to 1,000; got ", rounds);
    double seconds = 0;
    run([&](const Team& team) {
      const Buffer<T> a = random_numbers(team, m * k, 0), b = random_numbers(team, k * n, 1);
      Buffer<T> c(m * n, Contents::undefined, *device_.memory);
      const auto stored = [](const Buffer<T>& x, Index rows, Index columns, bool transposed) -> Factor<T> {
        return {transposed ? dense_view(x.data(), columns, rows) : dense_view(x.data(), rows, columns), transposed};
      };
      const auto products = [&] {
        for (Index round = 0; round < rounds; ++round) {
          kernels_.matmul(team, stored(a, m, k, transpose_a), stored(b, k, n, transpose_b), dense_view(c.data(), m, n),
                          Write::overwrite, {});
        }
      };
      const std::unique_ptr<Replay> replay(device_.make_replay());
      replay->run(products);
      seconds = cuda::seconds_of([&] { replay->run(products); });
    });
    return seconds / static_cast<double>(rounds);
  }

  Array<T> activation_forward(const py::object& z_in, const std::string& name, double parameter) {
    const Array<T> z = array_of<T>(z_in, "z");
    const Activation activation = activation_named(name, parameter);
    return filled(z,
                  [&](const Team& team, T* h) { kernels_.activation_forward(team, activation, at(z), h, z.size()); });
  }

  Array<T> activation_backward(const py::object& h_in, const py::object& dh_in, const std::string& name,
                               double parameter) {
    const Array<T> h = array_of<T>(h_in, "h"), dh = array_of<T>(dh_in, "dh", shape_of(h));
    const Activation activation = activation_named(name, parameter);
    return filled(h, [&](const Team& team, T* dz) {
      kernels_.activation_backward(team, activation, at(h), at(dh), dz, h.size());
    });
  }

  Array<T> dropout(const py::object& x_in, double rate, Index count, bool same, double scale, std::uint64_t seed,
                   std::uint32_t layer, std::uint64_t step) {
    const Array<T> x = array_of<T>(x_in, "x");
    check(x.size() < random_elements, "x must have fewer than 2^34 elements; it has ", x.size());
    check(rate >= 0 && rate < 1, "rate must be at least 0 and below 1; got ", rate);
    const bool matrix = x.ndim() == 2;
    const Index rows = matrix ? x.shape(0) : 1, columns = matrix ? x.shape(1) : x.size();
    check(count >= -1 && count <= columns, "count must be -1 to ", columns, "; got ", count);
    const DropMask mask{{seed, Purpose::dropout, layer, step}, rate, count, same};
    return filled(x, [&](const Team& team, T* y) {
      kernels_.dropout(team, mask, scale, dense_view<const T>(at(x), rows, columns), dense_view(y, rows, columns));
    });
  }

  Array<T> add_noise(const py::object& x_in, double deviation, std::uint64_t seed, std::uint32_t layer,
                     std::uint64_t step) {
    const Array<T> x = array_of<T>(x_in, "x");
    check(x.size() < random_elements, "x must have fewer than 2^34 elements; it has ", x.size());
    const Stream stream{seed, Purpose::noise, layer, step};
    return filled(x, [&](const Team& team, T* y) { kernels_.add_noise(team, stream, deviation, at(x), y, x.size()); });
  }

  Array<T> add_scaled(double factor, const py::object& x_in, const py::object& y_in) {
    const Array<T> x = array_of<T>(x_in, "x");
    Array<T> y = result(y_in, "y", shape_of(x));
    run([&](const Team& team) { kernels_.add_scaled(team, factor, at(x), at(y), x.size()); });
    return y;
  }

  Array<T> scale(double factor, const py::object& x_in) { return with_number(&Kernels<T>::scale, factor, x_in); }
  Array<T> clip(double limit, const py::object& x_in) { return with_number(&Kernels<T>::clip, limit, x_in); }
  Array<T> soft_threshold(double threshold, const py::object& x_in) {
    return with_number(&Kernels<T>::soft_threshold, threshold, x_in);
  }

  Array<T> multiply(const py::object& x_in, const py::object& factors_in) {
    const Array<T> x = array_of<T>(x_in, "x"), factors = array_of<T>(factors_in, "factors", shape_of(x));
    return filled(x, [&](const Team& team, T* y) { kernels_.multiply(team, at(x), at(factors), y, x.size()); });
  }

  Array<T> fill(double value, Index n) {
    check(n >= 0, "n must be at least 0; got ", n);
    Array<T> x(n);
    run([&](const Team& team) { kernels_.fill(team, value, at(x), n); });
    return x;
  }

  py::tuple update(const py::object& w_in, const py::object& g_in, const py::object& state1_in,
                   const py::object& state2_in, const py::object& state3_in, const std::string& rule_name, double rate,
                   double beta1, double beta2, double epsilon, double correction1, double correction2, double gain,
                   double memory, double fresh, double shrink, double grow, double least, double most, double keep) {
    const auto rule = named<UpdateRule>(update_rule_names, "rule", rule_name);
    const Array<T> g = array_of<T>(g_in, "g");
    const Shape shape = shape_of(g);
    Array<T> w = result(w_in, "w", shape), state1 = result(state1_in, "state1", shape);
    Array<T> state2 = result(state2_in, "state2", shape), state3 = result(state3_in, "state3", shape);
    const UpdateNumbers numbers{rate,   beta1, beta2,  epsilon, correction1, correction2, gain,
                                memory, fresh, shrink, grow,    least,       most,        keep};
    run([&](const Team& team) {
      kernels_.update(team, rule, numbers, at(w), at(g), {at(state1), at(state2), at(state3)}, g.size());
    });
    return py::make_tuple(w, state1, state2, state3);
  }

  Array<T> softmax_forward(const py::object& z_in) {
    const Array<T> z = array_of<T>(z_in, "z", {-1, -1});
    return filled(z, [&](const Team& team, T* h) {
      kernels_.softmax_forward(team, view(z), dense_view(h, z.shape(0), z.shape(1)));
    });
  }

  Array<T> softmax_backward(const py::object& h_in, const py::object& dh_in) {
    const Array<T> h = array_of<T>(h_in, "h", {-1, -1}), dh = array_of<T>(dh_in, "dh", shape_of(h));
    return filled(h, [&](const Team& team, T* dz) {
      kernels_.softmax_backward(team, view(h), view(dh), dense_view(dz, h.shape(0), h.shape(1)));
    });
  }

  Array<T> max_pieces_forward(const py::object& z_in, Index pieces) {
    const Array<T> z = array_of<T>(z_in, "z", {-1, -1});
    check(pieces >= 1 && z.shape(1) % pieces == 0, "z has ", z.shape(1), " columns: not a multiple of ", pieces,
          " pieces");
    Array<T> h = result(py::none(), "", {z.shape(0), z.shape(1) / pieces});
    run([&](const Team& team) { kernels_.max_pieces_forward(team, view(z), view(h)); });
    return h;
  }

  Array<T> max_pieces_backward(const py::object& z_in, const py::object& dh_in) {
    const Array<T> z = array_of<T>(z_in, "z", {-1, -1}), dh = array_of<T>(dh_in, "dh", {z.shape(0), -1});
    const Index units = dh.shape(1), columns = z.shape(1);
    check(units > 0 ? columns >= units && columns % units == 0 : columns == 0, "z has ", columns,
          " columns: not a multiple of dh's ", units);
    return filled(z, [&](const Team& team, T* dz) {
      kernels_.max_pieces_backward(team, view(z), view(dh), dense_view(dz, z.shape(0), columns));
    });
  }

  Array<T> gather_rows(const py::object& x_in, const py::object& rows_in) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
    const Buffer<std::int32_t> rows = row_numbers(rows_in, x.shape(0));
    Array<T> y({rows.size(), x.shape(1)});
    run([&](const Team& team) { kernels_.gather_rows(team, view(x), at(rows), view(y)); });
    return y;
  }

  Ints gather_labels(const py::object& labels_in, const py::object& rows_in) {
    const Ints labels = array_of<std::int32_t>(labels_in, "labels", {-1});
    const Buffer<std::int32_t> rows = row_numbers(rows_in, labels.size());
    Ints y(rows.size());
    run([&](const Team& team) { kernels_.gather_labels(team, at(labels), at(rows), at(y), rows.size()); });
    return y;
  }

  Ints shuffled_order(Index n, std::uint64_t seed, std::uint64_t epoch) {
    check(n >= 0 && n < Index{1} << 31, "n must be 0 to 2^31 - 1; got ", n);
    const Shuffle shuffle = shuffle_of(seed, epoch, n);
    Ints order(n);
    run([&](const Team& team) { kernels_.shuffled_order(team, shuffle, at(order)); });
    return order;
  }

  py::tuple column_moments(const py::object& x_in) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
    check(x.shape(0) >= 1, "x has no rows: no mean is defined");
    Array<T> mean = result(py::none(), "", {x.shape(1)}), variance = result(py::none(), "", {x.shape(1)});
    run([&](const Team& team) { kernels_.column_moments(team, view(x), at(mean), at(variance)); });
    return py::make_tuple(mean, variance);
  }

  Array<T> normalize_forward(const py::object& x_in, const py::object& mean_in, const py::object& variance_in,
                             const py::object& gamma_in, const py::object& beta_in, double epsilon) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
    const Shape columns{x.shape(1)};
    const Array<T> mean = array_of<T>(mean_in, "mean", columns);
    const Array<T> variance = array_of<T>(variance_in, "variance", columns);
    const Array<T> gamma = array_of<T>(gamma_in, "gamma", columns), beta = array_of<T>(beta_in, "beta", columns);
    return filled(x, [&](const Team& team, T* h) {
      kernels_.normalize_forward(team, view(x), at(mean), at(variance), epsilon, at(gamma), at(beta),
                                 dense_view(h, x.shape(0), x.shape(1)));
    });
  }

  py::tuple normalize_backward(const py::object& x_in, const py::object& mean_in, const py::object& variance_in,
                               const py::object& gamma_in, const py::object& dh_in, double epsilon, bool moments_of_x,
                               const std::optional<std::pair<py::object, py::object>>& add_to) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1}), dh = array_of<T>(dh_in, "dh", shape_of(x));
    const Shape columns{x.shape(1)};
    const Array<T> mean = array_of<T>(mean_in, "mean", columns);
    const Array<T> variance = array_of<T>(variance_in, "variance", columns);
    const Array<T> gamma = array_of<T>(gamma_in, "gamma", columns);
    Array<T> dgamma = result(add_to ? add_to->first : py::none(), "add_to[0]", columns);
    Array<T> dbeta = result(add_to ? add_to->second : py::none(), "add_to[1]", columns);
    Array<T> dx = result(py::none(), "", shape_of(x));
    const Write write = add_to ? Write::add : Write::overwrite;
    run([&](const Team& team) {
      kernels_.normalize_backward(team, view(x), at(mean), at(variance), epsilon, at(gamma), view(dh), moments_of_x,
                                  write, at(dgamma), at(dbeta), view(dx));
    });
    return py::make_tuple(dx, dgamma, dbeta);
  }

  Array<T> constrain_columns(const py::object& w_in, const std::string& name, double limit) {
    const auto constraint = named<ColumnConstraint>(column_constraint_names, "constraint", name);
    Array<T> w = result(w_in, "w", shape_of(array_of<T>(w_in, "w", {-1, -1})));
    run([&](const Team& team) { kernels_.constrain_columns(team, constraint, limit, view(w)); });
    return w;
  }

  py::tuple element_loss(const py::object& p_in, const py::object& y_in, const std::string& name, double parameter,
                         const py::object& weight_in, double scale) {
    const ElementLoss loss{named<ElementLossKind>(element_loss_names, "loss", name), parameter};
    const Array<T> p = array_of<T>(p_in, "p", {-1, -1}), y = array_of<T>(y_in, "y", shape_of(p));
    const auto weight = weights_of<T>(weight_in, p.shape(0));
    return loss_and_gradient(p, [&](const Team& team, T* row_loss, const MatrixView<T>& dp) {
      kernels_.element_loss(team, loss, view(p), view(y), weight ? at(*weight) : nullptr, scale, row_loss, dp);
    });
  }

  py::tuple cross_entropy(const py::object& p_in, const py::object& y_in, bool from_logits, double smoothing,
                          const py::object& weight_in, double scale) {
    const Array<T> p = array_of<T>(p_in, "p", {-1, -1});
    check(smoothing >= 0 && smoothing < 1, "smoothing must be at least 0 and below 1; got ", smoothing);
    const TargetArrays<T> y = targets_of<T>(y_in, p.shape(0), p.shape(1), true);
    const auto weight = weights_of<T>(weight_in, p.shape(0));
    return loss_and_gradient(p, [&](const Team& team, T* row_loss, const MatrixView<T>& dp) {
      kernels_.cross_entropy(team, from_logits, smoothing, view(p), at(y), weight ? at(*weight) : nullptr, scale,
                             row_loss, dp);
    });
  }

  Array<T> correct_rows(const py::object& p_in, const py::object& y_in, Index k, double threshold) {
    const Array<T> p = array_of<T>(p_in, "p", {-1, -1});
    check(p.shape(1) >= 1, "p has no columns");
    check(k >= 1, "k must be at least 1; got ", k);
    const TargetArrays<T> y = targets_of<T>(y_in, p.shape(0), p.shape(1), true);
    Array<T> score(p.shape(0));
    run([&](const Team& team) { kernels_.correct_rows(team, view(p), at(y), k, threshold, at(score)); });
    return score;
  }

  Array<double> count_classes(const py::object& p_in, const py::object& y_in, const py::object& counts_in,
                              bool exclusive, double threshold) {
    const Array<T> p = array_of<T>(p_in, "p", {-1, -1});
    check(p.shape(1) >= 1, "p has no columns");
    const TargetArrays<T> y = targets_of<T>(y_in, p.shape(0), p.shape(1), true);
    const Array<double> before = array_of<double>(counts_in, "counts", {3, p.shape(1)});
    Array<double> counts(shape_of(before));
    std::copy_n(before.data(), before.size(), counts.mutable_data());
    run([&](const Team& team) { kernels_.count_classes(team, view(p), at(y), exclusive, threshold, at(counts)); });
    return counts;
  }

  Array<T> column_sum(const py::object& x_in, const py::object& add_to) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
    Array<T> sum = result(add_to, "add_to", {x.shape(1)});
    const Write write = add_to.is_none() ? Write::overwrite : Write::add;
    run([&](const Team& team) { kernels_.column_sum(team, view(x), at(sum), write); });
    return sum;
  }

  double penalty_sum(const py::object& w_in, const std::string& name, double power) {
    const PenaltyTerm term = penalty_term_named(name, power);
    const Array<T> w = array_of<T>(w_in, "w");
    Buffer<double> blocks(sum_blocks(w.size()));
    double sum = std::numeric_limits<double>::quiet_NaN();
    run([&](const Team& team) {
      kernels_.penalty_sum(team, term, at(w), w.size(), at(blocks));
      team.barrier();
      kernels_.sum_up(team, at(blocks), blocks.size(), at(&sum, 1));
    });
    return sum;
  }

  double accumulate(const py::object& x_in, double factor, double total) {
    const Array<T> x = array_of<T>(x_in, "x", {-1});
    run([&](const Team& team) { kernels_.accumulate(team, at(x), x.size(), factor, at(&total, 1)); });
    return total;
  }

  double sum_up(const py::object& blocks_in) {
    const Array<double> blocks = array_of<double>(blocks_in, "blocks", {-1});
    double sum = std::numeric_limits<double>::quiet_NaN();
    run([&](const Team& team) { kernels_.sum_up(team, at(blocks), blocks.size(), at(&sum, 1)); });
    return sum;
  }

  Array<T> clip_norm(double limit, double squares, const py::object& g_in) {
    const Array<T> start = array_of<T>(g_in, "g");
    Array<T> g = result(start, "g", shape_of(start));
    const double& given = squares;
    run([&](const Team& team) { kernels_.clip_norm(team, limit, at(&given, 1), at(g), g.size()); });
    return g;
  }

  Array<T> penalty_gradient(double factor, const py::object& w_in, const py::object& g_in, const std::string& name,
                            double power, std::optional<double> sum) {
    const PenaltyTerm term = penalty_term_named(name, power);
    const Array<T> w = array_of<T>(w_in, "w");
    Array<T> g = result(g_in, "g", shape_of(w));
    const double* given = sum ? &*sum : nullptr;
    run([&](const Team& team) {
      kernels_.penalty_gradient(team, term, factor, sum ? at(given, 1) : nullptr, at(w), at(g), w.size());
    });
    return g;
  }

private:
  /// N(0, 1) in the device's memory: a product of zeros would draw less power, and be faster.
  Buffer<T> random_numbers(const Team& team, Index n, std::uint32_t number) const {
    Buffer<T> x(n, Contents::zero, *device_.memory);
    kernels_.add_noise(team, {0, Purpose::noise, number, 0}, 1.0, x.data(), x.data(), n);
    return x;
  }

  /// An operation of one number and one array.
  Array<T> with_number(void (*Kernels<T>::*operation)(const Team&, double, const T*, T*, Index), double number,
                       const py::object& x_in) {
    const Array<T> x = array_of<T>(x_in, "x");
    return filled(x, [&](const Team& team, T* y) { (kernels_.*operation)(team, number, at(x), y, x.size()); });
  }

  template <class Body> py::tuple loss_and_gradient(const Array<T>& p, Body body) {
    Array<T> row_loss = result(py::none(), "", {p.shape(0)}), dp = result(py::none(), "", shape_of(p));
    run([&](const Team& team) { body(team, at(row_loss), view(dp)); });
    return py::make_tuple(row_loss, dp);
  }
};

} // namespace

template <class T> void bind_kernels(py::module_& module) {
  using py::arg;
  const auto none = py::none();
  py::class_<Runner<T>>(module, "Kernels")
      .def(py::init<std::string, int>(), arg("isa") = "", arg("threads") = 1)
      .def_property_readonly("isa", &Runner<T>::isa)
      .def("matmul", &Runner<T>::matmul, arg("a"), arg("b"), py::kw_only(), arg("transpose_a") = false,
           arg("transpose_b") = false, arg("bias") = none, arg("activation") = "identity", arg("parameter") = 0.0,
           arg("slope_at") = none, arg("add_to") = none, arg("out") = none)
      .def("sparse_product", &Runner<T>::sparse_product, arg("s"), arg("w"), py::kw_only(), arg("rows") = none,
           arg("bias") = none, arg("activation") = "identity", arg("parameter") = 0.0)
      .def("sparse_gradient", &Runner<T>::sparse_gradient, arg("s"), arg("dz"), py::kw_only(), arg("inputs"),
           arg("rows") = none, arg("add_to") = none)
      .def("register_ceiling", &Runner<T>::register_ceiling, arg("seconds"))
      .def("matmul_seconds", &Runner<T>::matmul_seconds, arg("m"), arg("n"), arg("k"), py::kw_only(),
           arg("transpose_a") = false, arg("transpose_b") = false, arg("rounds") = 1)
      .def("activation_forward", &Runner<T>::activation_forward, arg("z"), py::kw_only(), arg("activation"),
           arg("parameter") = 0.0)
      .def("activation_backward", &Runner<T>::activation_backward, arg("h"), arg("dh"), py::kw_only(),
           arg("activation"), arg("parameter") = 0.0)
      .def("dropout", &Runner<T>::dropout, arg("x"), py::kw_only(), arg("rate") = 0.0, arg("count") = -1,
           arg("same") = false, arg("scale"), arg("seed"), arg("layer"), arg("step"))
      .def("add_noise", &Runner<T>::add_noise, arg("x"), py::kw_only(), arg("deviation"), arg("seed"), arg("layer"),
           arg("step"))
      .def("add_scaled", &Runner<T>::add_scaled, arg("factor"), arg("x"), arg("y"))
      .def("scale", &Runner<T>::scale, arg("factor"), arg("x"))
      .def("multiply", &Runner<T>::multiply, arg("x"), arg("factors"))
      .def("clip", &Runner<T>::clip, arg("limit"), arg("x"))
      .def("clip_norm", &Runner<T>::clip_norm, arg("limit"), arg("squares"), arg("g"))
      .def("soft_threshold", &Runner<T>::soft_threshold, arg("threshold"), arg("x"))
      .def("fill", &Runner<T>::fill, arg("value"), arg("n"))
      .def("update", &Runner<T>::update, arg("w"), arg("g"), arg("state1"), arg("state2"), arg("state3"), py::kw_only(),
           arg("rule"), arg("rate"), arg("beta1") = 0.0, arg("beta2") = 0.0, arg("epsilon") = 0.0,
           arg("correction1") = 1.0, arg("correction2") = 1.0, arg("gain") = 1.0, arg("memory") = 0.0,
           arg("fresh") = 1.0, arg("shrink") = 0.5, arg("grow") = 1.2, arg("least") = 0.0, arg("most") = 0.0,
           arg("keep") = 1.0)
      .def("softmax_forward", &Runner<T>::softmax_forward, arg("z"))
      .def("softmax_backward", &Runner<T>::softmax_backward, arg("h"), arg("dh"))
      .def("max_pieces_forward", &Runner<T>::max_pieces_forward, arg("z"), py::kw_only(), arg("pieces"))
      .def("max_pieces_backward", &Runner<T>::max_pieces_backward, arg("z"), arg("dh"))
      .def("gather_rows", &Runner<T>::gather_rows, arg("x"), arg("rows"))
      .def("gather_labels", &Runner<T>::gather_labels, arg("labels"), arg("rows"))
      .def("noise_rows", &Runner<T>::noise_rows, arg("x"), arg("rows"), py::kw_only(), arg("deviation"), arg("seed"),
           arg("place"), arg("epoch"))
      .def("augment_images", &Runner<T>::augment_images, arg("x"), arg("rows"), arg("changes"), py::kw_only(),
           arg("seed"), arg("place"), arg("epoch"))
      .def("shuffled_order", &Runner<T>::shuffled_order, arg("n"), arg("seed"), arg("epoch"))
      .def("column_moments", &Runner<T>::column_moments, arg("x"))
      .def("normalize_forward", &Runner<T>::normalize_forward, arg("x"), arg("mean"), arg("variance"), arg("gamma"),
           arg("beta"), py::kw_only(), arg("epsilon"))
      .def("normalize_backward", &Runner<T>::normalize_backward, arg("x"), arg("mean"), arg("variance"), arg("gamma"),
           arg("dh"), py::kw_only(), arg("epsilon"), arg("moments_of_x") = true, arg("add_to") = none)
      .def("constrain_columns", &Runner<T>::constrain_columns, arg("w"), py::kw_only(), arg("constraint"),
           arg("limit") = 1.0)
      .def("element_loss", &Runner<T>::element_loss, arg("p"), arg("y"), py::kw_only(), arg("loss"),
           arg("parameter") = 0.0, arg("weight") = none, arg("scale") = 1.0)
      .def("cross_entropy", &Runner<T>::cross_entropy, arg("p"), arg("y"), py::kw_only(), arg("from_logits") = true,
           arg("smoothing") = 0.0, arg("weight") = none, arg("scale") = 1.0)
      .def("correct_rows", &Runner<T>::correct_rows, arg("p"), arg("y"), py::kw_only(), arg("k") = 1,
           arg("threshold") = 0.0)
      .def("count_classes", &Runner<T>::count_classes, arg("p"), arg("y"), arg("counts"), py::kw_only(),
           arg("exclusive") = true, arg("threshold") = 0.0)
      .def("column_sum", &Runner<T>::column_sum, arg("x"), py::kw_only(), arg("add_to") = none)
      .def("accumulate", &Runner<T>::accumulate, arg("x"), arg("factor"), arg("total"))
      .def("sum_up", &Runner<T>::sum_up, arg("blocks"))
      .def("penalty_sum", &Runner<T>::penalty_sum, arg("w"), py::kw_only(), arg("term"), arg("power") = 0.0)
      .def("penalty_gradient", &Runner<T>::penalty_gradient, arg("factor"), arg("w"), arg("g"), py::kw_only(),
           arg("term"), arg("power") = 0.0, arg("sum") = none);
}

template void bind_kernels<float>(py::module_&);
template void bind_kernels<double>(py::module_&);

} // namespace chainrule::bindings
