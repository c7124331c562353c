// Training for Python: whole epochs with the interpreter's lock released, and evaluation.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "core/clock.h"
#include "train/epoch.h"

namespace chainrule::bindings {

namespace {

using py::arg;

template <class T> using NetworkPointer = std::shared_ptr<BoundNetwork<T>>;

/// The data of a fit or an evaluation, checked, where the network's device reads it, and what keeps it alive.
template <class T> class DataArrays {
public:
  DataArrays(Network<T>& network, const Loss<T>& loss, const std::vector<std::string>& metrics, const py::object& x,
             const py::object& y, const py::object& weight)
      : x_(x), rows_(rows_of(network, x_)), y_(targets_of<T>(y, rows_.rows, network.outputs(), loss.takes_labels())),
        weight_(weights_of<T>(weight, rows_.rows)),
        resident_(resident({rows_, y_.targets(), weight_ ? weight_->data() : nullptr}, network, is_there(x_))) {
    for (const std::string& metric : metrics) {
      check(metric_named(metric) == Metric::accuracy || !y_.has_labels, "metric \"", metric,
            "\" needs targets that are numbers, not class numbers");
    }
  }

  const Data<T>& data() const { return resident_.data(); }

private:
  static bool is_there(const py::object& x) { return py::isinstance<DeviceArray>(x); }

  static ResidentData<T> resident(const Data<T>& data, const Network<T>& network, bool has_x) {
    const Unlocked unlocked; // copying takes its time
    return ResidentData<T>(data, network.memory(), has_x);
  }

  /// The rows of x, which is an array of NumPy, or lies on the network's GPU; x becomes what keeps them alive.
  static MatrixView<const T> rows_of(const Network<T>& network, py::object& x) {
    if (is_there(x)) {
      check(!network.device().is_host(), "x lies on a GPU, the network does not");
      return x.cast<const DeviceArray&>().matrix<const T>("x", network.inputs());
    }
    const Array<T> array = array_of<T>(x, "x", {-1, network.inputs()});
    x = array;
    return view_of(array);
  }

  py::object x_;
  MatrixView<const T> rows_;
  TargetArrays<T> y_;
  std::optional<Array<T>> weight_;
  ResidentData<T> resident_;
};

template <class T>
Objective<T>
objective_of(const std::shared_ptr<Loss<T>>& loss, const std::vector<std::shared_ptr<Penalty<T>>>& penalties,
             const std::vector<std::string>& metrics, double threshold, Index penalty_rows, Index penalty_batch) {
  Objective<T> objective{.loss = loss,
                         .penalties = {penalties.begin(), penalties.end()},
                         .penalty_rows = {static_cast<double>(penalty_rows), static_cast<double>(penalty_batch)},
                         .metrics = {},
                         .threshold = threshold};
  for (const auto& penalty : penalties) check(penalty != nullptr, "a penalty is None");
  for (const std::string& metric : metrics) objective.metrics.push_back(metric_named(metric));
  return objective;
}

py::dict record_dict(const EpochRecord& record, const std::vector<std::string>& metrics, double seconds) {
  py::dict scores;
  for (std::size_t m = 0; m < metrics.size(); ++m) scores[py::str(metrics[m])] = record.scores[m];
  py::dict result;
  result["finished"] = record.finished;
  result["loss"] = record.loss;
  result["penalty"] = record.penalty;
  result["scores"] = scores;
  result["steps"] = record.steps;
  result["rows"] = record.rows;
  result["seconds"] = seconds;
  return result;
}

/// One run of training: the data, and the epochs over it.
template <class T> class Fit {
public:
  Fit(NetworkPointer<T> network, const std::shared_ptr<Loss<T>>& loss, const std::shared_ptr<Optimizer<T>>& optimizer,
      const std::vector<std::shared_ptr<Penalty<T>>>& penalties, std::vector<std::string> metrics, const py::object& x,
      const py::object& y, const py::object& weight, Index batch_size, bool shuffle, bool drop_last, std::uint64_t seed,
      double threshold)
      : network_(std::move(network)), metrics_(std::move(metrics)),
        arrays_(network_->network(), *loss, metrics_, x, y, weight),
        epoch_(network_->network(), optimizer,
               objective_of<T>(loss, penalties, metrics_, threshold, arrays_.data().rows(),
                               std::min(batch_size, arrays_.data().rows())),
               Sampler<T>(arrays_.data(), network_->network().memory(), batch_size, shuffle, drop_last, seed)) {}

  Index steps() const { return epoch_.steps(); }

  py::dict run(std::uint64_t number, const py::object& progress) {
    if (running_) throw std::runtime_error("this fit is running already");
    const Running running(running_);
    const double start = seconds_now();
    network_->alone([&](Network<T>&) { epoch_.begin(number); });
    Index done = 0;
    double loss = 0;
    network_->in_slices(
        [&](double seconds) {
          const bool over = epoch_.advance(seconds);
          done = epoch_.steps_done();
          loss = epoch_.loss_so_far();
          return over;
        },
        [&] {
          if (!progress.is_none()) progress(done, loss);
        });
    const EpochRecord record = network_->alone([&](Network<T>&) { return epoch_.record(); });
    return record_dict(record, metrics_, seconds_now() - start);
  }

private:
  /// Sets a flag while it lives. The flag is read and written with the interpreter's lock.
  struct Running {
    explicit Running(bool& running) : flag(running) { flag = true; }
    ~Running() { flag = false; }
    bool& flag;
  };

  NetworkPointer<T> network_;
  std::vector<std::string> metrics_;
  DataArrays<T> arrays_;
  Epoch<T> epoch_;
  bool running_ = false;
};

template <class T>
py::dict evaluate_arrays(const NetworkPointer<T>& network, const std::shared_ptr<Loss<T>>& loss,
                         const std::vector<std::shared_ptr<Penalty<T>>>& penalties,
                         const std::vector<std::string>& metrics, const py::object& x, const py::object& y,
                         const py::object& weight, double threshold, Index penalty_rows, Index penalty_batch) {
  const DataArrays<T> arrays(network->network(), *loss, metrics, x, y, weight);
  check(penalty_rows >= 0 && penalty_batch >= 0, "rows of a penalty must not be negative");
  const Index rows = arrays.data().rows();
  const Objective<T> objective =
      objective_of<T>(loss, penalties, metrics, threshold, penalty_rows > 0 ? penalty_rows : rows,
                      penalty_batch > 0 ? penalty_batch : rows);
  const double start = seconds_now();
  Evaluation<T> evaluation(network->network(), objective, arrays.data());
  network->in_slices_alone([&](double seconds) { return evaluation.advance(seconds); });
  const EpochRecord record = network->alone([&](Network<T>&) { return evaluation.record(); });
  return record_dict(record, metrics, seconds_now() - start);
}

} // namespace

template <class T> void bind_fit(py::module_& module) {
  py::class_<Fit<T>>(module, "Fit")
      .def(py::init<NetworkPointer<T>, std::shared_ptr<Loss<T>>, std::shared_ptr<Optimizer<T>>,
                    std::vector<std::shared_ptr<Penalty<T>>>, std::vector<std::string>, py::object, py::object,
                    py::object, Index, bool, bool, std::uint64_t, double>(),
           arg("network").none(false), arg("loss").none(false), arg("optimizer").none(false), arg("penalties"),
           arg("metrics"), arg("x"), arg("y"), arg("weight"), arg("batch_size"), arg("shuffle"), arg("drop_last"),
           arg("seed"), arg("threshold"))
      .def_property_readonly("steps_per_epoch", &Fit<T>::steps)
      .def("run", &Fit<T>::run, arg("epoch"), arg("progress") = py::none());
  module.def("evaluate", evaluate_arrays<T>, arg("network").none(false), arg("loss").none(false), arg("penalties"),
             arg("metrics"), arg("x"), arg("y"), arg("weight"), arg("threshold"), arg("penalty_rows"),
             arg("penalty_batch"));
}

template void bind_fit<float>(py::module_&);
template void bind_fit<double>(py::module_&);

} // namespace chainrule::bindings
