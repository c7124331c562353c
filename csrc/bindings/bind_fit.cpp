// Training for Python: whole epochs with the interpreter's lock released, evaluation, and states to go back to.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "bindings/locked.h"
#include "core/clock.h"
#include "nn/numbers.h"
#include "train/epoch.h"
#include "train/run_state.h"
#include "train/without_zeros.h"

namespace chainrule::bindings {

namespace {

using py::arg;

template <class T> using NetworkPointer = std::shared_ptr<BoundNetwork<T>>;

/// Among the words of metrics, the one that has no number of its own: it asks for the counts of classes.
constexpr const char* class_counts = "class_counts";

/// The data of a fit or an evaluation, checked, where the network's device reads it, and what keeps it alive.
template <class T> class DataArrays {
public:
  DataArrays(Network<T>& network, const Loss<T>& loss, const std::vector<std::string>& metrics, const py::object& x,
             const py::object& y, const py::object& weight, Index batch_size, bool drop_zeros)
      : x_(x), rows_(rows_of(network, x_)), y_(targets_of<T>(y, rows_.rows(), network.outputs(), loss.takes_labels())),
        weight_(weights_of<T>(weight, rows_.rows())),
        resident_(
            resident({rows_, y_.targets(), weight_ ? weight_->data() : nullptr}, network, is_there(x_), batch_size)) {
    for (const std::string& word : metrics) {
      if (word == class_counts) continue;
      const Metric metric = metric_named(word);
      check(metric.kind == MetricKind::accuracy || !y_.has_labels, "metric \"", word,
            "\" needs targets that are numbers, not class numbers");
      check(metric.k == 1 || metric.k < network.outputs(), "metric \"", word, "\" needs more than ", metric.k,
            " outputs; the network has ", network.outputs());
    }
    if (!drop_zeros) return;
    const Unlocked unlocked; // reading all rows takes its time
    without_zeros_.emplace(network, data_.x);
    if (without_zeros_->pays()) data_.x = without_zeros_->rows();
  }

  const Data<T>& data() const { return data_; }
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

  /// The rows of x, which is in the memory of this process, or on the network's GPU; x becomes what keeps them alive.
  static Inputs<T> rows_of(const Network<T>& network, py::object& x) {
    if (is_there(x)) {
      check(!network.device().is_host(), "x lies on a GPU, the network does not");
      return x.cast<const DeviceArray&>().matrix<const T>("x", network.inputs());
    }
    return inputs_of(network, x);
  }

  py::object x_;
  Inputs<T> rows_;
  TargetArrays<T> y_;
  std::optional<Array<T>> weight_;
  ResidentData<T> resident_;
  Data<T> data_{resident_.data()};
  std::optional<WithoutZeros<T>> without_zeros_;
};

template <class T>
Objective<T>
objective_of(const std::shared_ptr<Loss<T>>& loss, const std::vector<std::shared_ptr<Penalty<T>>>& penalties,
             const std::vector<std::string>& metrics, double threshold, Index penalty_rows, Index penalty_batch) {
  Objective<T> objective{.loss = loss,
                         .penalties = {penalties.begin(), penalties.end()},
                         .penalty_rows = {static_cast<double>(penalty_rows), static_cast<double>(penalty_batch)},
                         .metrics = {},
                         .count_classes = false,
                         .threshold = threshold};
  for (const auto& penalty : penalties) check(penalty != nullptr, "a penalty is None");
  for (const std::string& word : metrics) {
    if (word == class_counts) {
      objective.count_classes = true;
    } else {
      objective.metrics.push_back(metric_named(word));
    }
  }
  return objective;
}

py::dict record_dict(const EpochRecord& record, const std::vector<std::string>& metrics, double seconds) {
  py::dict scores;
  std::size_t score = 0;
  for (const std::string& word : metrics) {
    if (word != class_counts) scores[py::str(word)] = record.scores[score++];
  }
  Array<double> counts({Index{3}, static_cast<Index>(record.counts.size() / 3)});
  std::copy(record.counts.begin(), record.counts.end(), counts.mutable_data());
  py::dict result;
  result["finished"] = record.finished;
  result["loss"] = record.loss;
  result["penalty"] = record.penalty;
  result["scores"] = scores;
  result["class_counts"] = counts;
  result["steps"] = record.steps;
  result["rows"] = record.rows;
  result["gradient_norm"] = record.gradient_norm;
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
  /// For who has the network alone.
  RunState<T>& state_of(const NetworkPointer<T>& network) {
    check(network == network_, "a state of another network");
    return state_;
  }

  py::dict content() {
    const RunContent<T> kept = network_->alone([&](Network<T>& network) { return state_.content(network); });
    py::list states;
    for (const std::vector<T>& state : kept.states) states.append(array(state));
    py::dict content;
    content["arena"] = array(kept.arena);
    content["states"] = states;
    content["passes"] = kept.passes;
    content["updates"] = kept.updates;
    content["rate"] = kept.rate;
    return content;
  }
  void take(const py::object& arena, const py::list& states, std::uint64_t passes, std::uint64_t updates, double rate) {
    RunContent<T> content{
        .arena = numbers(arena, "arena"), .states = {}, .passes = passes, .updates = updates, .rate = rate};
    for (const py::handle state : states) {
      content.states.push_back(numbers(py::reinterpret_borrow<py::object>(state), "states"));
    }
    check(std::max(passes, updates) < std::uint64_t{1} << 62, "passes and updates must be below 2^62");
    representable<T>("rate", rate);
    network_->alone([&](Network<T>& network) { state_.take(network, content); });
  }

private:
  static Array<T> array(const std::vector<T>& from) { return Array<T>(static_cast<Index>(from.size()), from.data()); }
  static std::vector<T> numbers(const py::object& from, const char* name) {
    const Array<T> array = array_of<T>(from, name, {-1});
    return {array.data(), array.data() + array.size()};
  }

  NetworkPointer<T> network_;
  RunState<T> state_;
};

/// One run of training: the data, and the epochs over it.
template <class T> class Fit {
public:
  Fit(NetworkPointer<T> network, const std::shared_ptr<Loss<T>>& loss, const std::shared_ptr<Optimizer<T>>& optimizer,
      const std::vector<std::shared_ptr<Penalty<T>>>& penalties, std::vector<std::string> metrics, const py::object& x,
      const py::object& y, const py::object& weight, Index batch_size, bool shuffle, bool drop_last, std::uint64_t seed,
      double threshold, std::vector<Changes> augment)
      : network_(std::move(network)), optimizer_(optimizer), metrics_(std::move(metrics)),
        arrays_(network_->network(), *loss, metrics_, x, y, weight, batch_size, augment.empty()),
        epoch_(network_->network(), optimizer,
               objective_of<T>(loss, penalties, metrics_, threshold, arrays_.data().rows(),
                               std::min(batch_size, arrays_.data().rows())),
               Sampler<T>(arrays_.data(), network_->network().device(), batch_size, shuffle, drop_last, seed,
                          std::move(augment))) {}

  Index steps() const { return epoch_.steps(); }
  bool streams() const { return arrays_.stream(network_->network()); }
  bool walks_sparse() const { return arrays_.data().x.is_sparse(); }

  void begin(std::uint64_t number, Index steps, const std::vector<double>& totals, double seconds) {
    const Running running(running_, "fit");
    const double start = seconds_now();
    begun_ = false;
    network_->alone([&](Network<T>&) {
      epoch_.begin(number);
      if (steps > 0) epoch_.resume({steps, totals});
    });
    begun_ = true;
    seconds_ = seconds + (seconds_now() - start);
  }

  bool advance(Index end, const py::object& progress) {
    const Running running(running_, "fit");
    check_begun();
    const double start = seconds_now();
    Index done = 0;
    double loss = 0;
    bool over = false;
    network_->in_slices(
        [&](double seconds) {
          over = epoch_.advance(seconds, end);
          done = epoch_.steps_done();
          loss = epoch_.loss_so_far();
          return over || done >= end;
        },
        [&] {
          if (!progress.is_none()) called(progress, py::int_(done), py::float_(loss));
        });
    seconds_ += seconds_now() - start;
    return over;
  }

  py::dict run(std::uint64_t number, const py::object& progress) {
    begin(number, 0, {}, 0);
    advance(steps(), progress);
    return record();
  }

  /// Epochs `number` and on, `count` of them, but no new one after a while; then records() tells of them. After each it
  /// keeps the state of the run in `last`, and what `last` had in `before`: not after one with a number that is not
  /// finite, which is the last, nor after number `unkept`.
  void run_epochs(std::uint64_t number, Index count, BoundRunState<T>& last, BoundRunState<T>& before,
                  std::optional<std::uint64_t> unkept) {
    const Running running(running_, "fit");
    check(count >= 1, "count must be at least 1; got ", count);
    check(&last != &before, "last and before are the same state");
    RunState<T>&last_state = last.state_of(network_), &state_before = before.state_of(network_);
    done_.clear();
    begun_ = false;
    constexpr double a_while = 0.05; // Python is to see now and then how far it has come
    const double until = seconds_now() + a_while;
    double start = 0;
    bool within = false; // an epoch that was begun
    network_->in_slices(
        [&](double seconds) {
          for (const double end = seconds_now() + seconds;;) {
            if (!within) {
              start = seconds_now();
              epoch_.begin(number + done_.size());
            }
            within = !epoch_.advance(end - seconds_now(), epoch_.steps());
            if (within) return false;
            Done done{epoch_.record(), optimizer_->rate(), false, 0};
            done.seconds = seconds_now() - start;
            // As fitting.py decides where it runs one epoch.
            done.good = done.record.finished && std::isfinite(done.record.loss) && is_finite(network_->network());
            if (done.good && unkept != number + done_.size()) {
              std::swap(last_state, state_before);
              last_state.keep(network_->network());
            }
            done_.push_back(std::move(done));
            if (!done_.back().good || std::ssize(done_) == count || seconds_now() >= until) return true;
          }
        },
        [] {});
  }

  /// Of the epochs that the last call of run_epochs has done: record, learning rate, and whether all was finite.
  py::list records() const {
    const Running running(running_, "fit");
    py::list records;
    for (const Done& done : done_) {
      records.append(py::make_tuple(record_dict(done.record, metrics_, done.seconds), done.rate, done.good));
    }
    return records;
  }

  py::tuple so_far() {
    const Running running(running_, "fit");
    check_begun();
    const EpochSoFar so_far = network_->alone([&](Network<T>&) { return epoch_.so_far(); });
    return py::make_tuple(so_far.steps, so_far.totals, seconds_);
  }

  py::dict record() {
    const Running running(running_, "fit");
    check_begun();
    const double start = seconds_now();
    const EpochRecord record = network_->alone([&](Network<T>&) { return epoch_.record(); });
    return record_dict(record, metrics_, seconds_ + (seconds_now() - start));
  }

private:
  struct Done {
    EpochRecord record;
    double rate;
    bool good;
    double seconds;
  };

  void check_begun() const { check(begun_, "no epoch was begun"); }

  NetworkPointer<T> network_;
  std::shared_ptr<Optimizer<T>> optimizer_;
  std::vector<std::string> metrics_;
  DataArrays<T> arrays_;
  Epoch<T> epoch_;
  double seconds_ = 0; // that the epoch at hand has taken so far
  std::vector<Done> done_;
  bool begun_ = false;
  mutable bool running_ = false;
};

/// Loss, penalty and metrics on data that stays the same while the network changes.
template <class T> class BoundEvaluation {
public:
  BoundEvaluation(NetworkPointer<T> network, const std::shared_ptr<Loss<T>>& loss,
                  const std::vector<std::shared_ptr<Penalty<T>>>& penalties, std::vector<std::string> metrics,
                  const py::object& x, const py::object& y, const py::object& weight, double threshold,
                  Index penalty_rows, Index penalty_batch)
      : network_(std::move(network)), metrics_(std::move(metrics)),
        arrays_(network_->network(), *loss, metrics_, x, y, weight, piece_rows(network_->network()), false),
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

} // namespace

template <class T> void bind_fit(py::module_& module) {
  py::class_<Fit<T>>(module, "Fit")
      .def(py::init<NetworkPointer<T>, std::shared_ptr<Loss<T>>, std::shared_ptr<Optimizer<T>>,
                    std::vector<std::shared_ptr<Penalty<T>>>, std::vector<std::string>, py::object, py::object,
                    py::object, Index, bool, bool, std::uint64_t, double, std::vector<Changes>>(),
           arg("network").none(false), arg("loss").none(false), arg("optimizer").none(false), arg("penalties"),
           arg("metrics"), arg("x"), arg("y"), arg("weight"), arg("batch_size"), arg("shuffle"), arg("drop_last"),
           arg("seed"), arg("threshold"), arg("augment") = py::list())
      .def_property_readonly("steps_per_epoch", &Fit<T>::steps)
      .def_property_readonly("streams", &Fit<T>::streams)
      .def_property_readonly("walks_sparse", &Fit<T>::walks_sparse)
      .def("run", &Fit<T>::run, arg("epoch"), arg("progress") = py::none())
      .def("run_epochs", &Fit<T>::run_epochs, arg("epoch"), arg("count"), arg("last"), arg("before"), arg("unkept"))
      .def("records", &Fit<T>::records)
      .def("begin", &Fit<T>::begin, arg("epoch"), arg("steps") = Index{0}, arg("totals") = std::vector<double>{},
           arg("seconds") = 0.0)
      .def("advance", &Fit<T>::advance, arg("end"), arg("progress") = py::none())
      .def("so_far", &Fit<T>::so_far)
      .def("record", &Fit<T>::record);
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
      .def("is_here", &BoundRunState<T>::is_here)
      .def("content", &BoundRunState<T>::content)
      .def("take", &BoundRunState<T>::take, arg("arena"), arg("states"), arg("passes"), arg("updates"), arg("rate"));
}

template void bind_fit<float>(py::module_&);
template void bind_fit<double>(py::module_&);

} // namespace chainrule::bindings
