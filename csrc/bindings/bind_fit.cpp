// Training for Python: whole epochs with the interpreter's lock released, evaluation, and states to go back to.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "core/clock.h"
#include "train/epoch.h"
#include "train/run_state.h"

namespace chainrule::bindings {

namespace {

using py::arg;

template <class T> using NetworkPointer = std::shared_ptr<BoundNetwork<T>>;

/// The data of a fit or an evaluation, checked, where the network's device reads it, and what keeps it alive.
template <class T> class DataArrays {
public:
  DataArrays(Network<T>& network, const Loss<T>& loss, const std::vector<std::string>& metrics, const py::object& x,
             const py::object& y, const py::object& weight, Index batch_size)
      : x_(x), rows_(rows_of(network, x_)), y_(targets_of<T>(y, rows_.rows, network.outputs(), loss.takes_labels())),
        weight_(weights_of<T>(weight, rows_.rows)),
        resident_(
            resident({rows_, y_.targets(), weight_ ? weight_->data() : nullptr}, network, is_there(x_), batch_size)) {
    for (const std::string& metric : metrics) {
      check(metric_named(metric) == Metric::accuracy || !y_.has_labels, "metric \"", metric,
            "\" needs targets that are numbers, not class numbers");
    }
  }

  const Data<T>& data() const { return resident_.data(); }
  /// Whether they are not where the network is.
  bool stream(const Network<T>& network) const { return data().memory != &network.memory(); }

private:
  static bool is_there(const py::object& x) { return py::isinstance<DeviceArray>(x); }

  /// On the device, if it has room; else where they are, to stream in.
  static ResidentData<T> resident(const Data<T>& data, const Network<T>& network, bool has_x, Index batch_size) {
    const Unlocked unlocked; // copying takes its time
    const Index batch = std::clamp<Index>(batch_size, 1, std::max<Index>(data.rows(), 1));
    const Index room = std::min(resident_limit(), std::max(always_resident, network.data_room(batch)));
    const bool fits = has_x || data.bytes() <= room;
    return ResidentData<T>(data, fits ? network.memory() : host_memory, has_x);
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

/// Sets a flag while it lives. The flag is read and written with the interpreter's lock.
struct Running {
  Running(bool& running, const char* what) : flag(running) {
    if (running) throw std::runtime_error(text("this ", what, " is running already"));
    flag = true;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { flag = false; }
  bool& flag;
};

/// One run of training: the data, and the epochs over it.
template <class T> class Fit {
public:
  Fit(NetworkPointer<T> network, const std::shared_ptr<Loss<T>>& loss, const std::shared_ptr<Optimizer<T>>& optimizer,
      const std::vector<std::shared_ptr<Penalty<T>>>& penalties, std::vector<std::string> metrics, const py::object& x,
      const py::object& y, const py::object& weight, Index batch_size, bool shuffle, bool drop_last, std::uint64_t seed,
      double threshold)
      : network_(std::move(network)), metrics_(std::move(metrics)),
        arrays_(network_->network(), *loss, metrics_, x, y, weight, batch_size),
        epoch_(network_->network(), optimizer,
               objective_of<T>(loss, penalties, metrics_, threshold, arrays_.data().rows(),
                               std::min(batch_size, arrays_.data().rows())),
               Sampler<T>(arrays_.data(), network_->network().device(), batch_size, shuffle, drop_last, seed)) {}

  Index steps() const { return epoch_.steps(); }
  bool streams() const { return arrays_.stream(network_->network()); }

  py::dict run(std::uint64_t number, const py::object& progress) {
    const Running running(running_, "fit");
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
  NetworkPointer<T> network_;
  std::vector<std::string> metrics_;
  DataArrays<T> arrays_;
  Epoch<T> epoch_;
  bool running_ = false;
};

/// Loss, penalty and metrics on data that stays the same while the network changes.
template <class T> class BoundEvaluation {
public:
  BoundEvaluation(NetworkPointer<T> network, const std::shared_ptr<Loss<T>>& loss,
                  const std::vector<std::shared_ptr<Penalty<T>>>& penalties, std::vector<std::string> metrics,
                  const py::object& x, const py::object& y, const py::object& weight, double threshold,
                  Index penalty_rows, Index penalty_batch)
      : network_(std::move(network)), metrics_(std::move(metrics)),
        arrays_(network_->network(), *loss, metrics_, x, y, weight, piece_rows(network_->network())),
        evaluation_(network_->network(),
                    objective_of<T>(loss, penalties, metrics_, threshold, rows_or_all(penalty_rows),
                                    rows_or_all(penalty_batch)),
                    arrays_.data()) {}

  py::dict run() {
    const Running running(running_, "evaluation");
    const double start = seconds_now();
    bool begun = false;
    network_->in_slices_alone([&](double seconds) {
      if (!begun) evaluation_.begin();
      begun = true;
      return evaluation_.advance(seconds);
    });
    const EpochRecord record = network_->alone([&](Network<T>&) { return evaluation_.record(); });
    return record_dict(record, metrics_, seconds_now() - start);
  }

private:
  Index rows_or_all(Index rows) const {
    check(rows >= 0, "rows of a penalty must not be negative");
    return rows > 0 ? rows : arrays_.data().rows();
  }

  NetworkPointer<T> network_;
  std::vector<std::string> metrics_;
  DataArrays<T> arrays_;
  Evaluation<T> evaluation_;
  bool running_ = false;
};

/// A RunState, and its network.
template <class T> class BoundRunState {
public:
  BoundRunState(NetworkPointer<T> network, const std::shared_ptr<Optimizer<T>>& optimizer)
      : network_(std::move(network)), state_(network_->network(), optimizer) {}

  void keep() {
    network_->alone([&](Network<T>& network) { state_.keep(network); });
  }
  void restore() {
    network_->alone([&](Network<T>& network) { state_.restore(network); });
  }
  bool is_here() {
    return network_->alone([&](Network<T>& network) { return state_.is_here(network); });
  }

private:
  NetworkPointer<T> network_;
  RunState<T> state_;
};

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
      .def_property_readonly("streams", &Fit<T>::streams)
      .def("run", &Fit<T>::run, arg("epoch"), arg("progress") = py::none());
  py::class_<BoundEvaluation<T>>(module, "Evaluation")
      .def(py::init<NetworkPointer<T>, std::shared_ptr<Loss<T>>, std::vector<std::shared_ptr<Penalty<T>>>,
                    std::vector<std::string>, py::object, py::object, py::object, double, Index, Index>(),
           arg("network").none(false), arg("loss").none(false), arg("penalties"), arg("metrics"), arg("x"), arg("y"),
           arg("weight"), arg("threshold"), arg("penalty_rows"), arg("penalty_batch"))
      .def("run", &BoundEvaluation<T>::run);
  py::class_<BoundRunState<T>>(module, "RunState")
      .def(py::init<NetworkPointer<T>, std::shared_ptr<Optimizer<T>>>(), arg("network").none(false),
           arg("optimizer") = py::none())
      .def("keep", &BoundRunState<T>::keep)
      .def("restore", &BoundRunState<T>::restore)
      .def("is_here", &BoundRunState<T>::is_here);
}

template void bind_fit<float>(py::module_&);
template void bind_fit<double>(py::module_&);

} // namespace chainrule::bindings
