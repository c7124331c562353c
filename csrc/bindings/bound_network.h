// BoundNetwork: a network as Python holds it, with the buffers of the loop by hand and of prediction.
//
// Python may call from several threads, and the lock of the interpreter is released while the engine works, so a lock
// lets one call at a time at the network. A fit gives it up between its slices, so that others may predict meanwhile;
// a prediction or an evaluation keeps it to its end and sees one state of the parameters.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "bindings/arrays.h"
#include "bindings/device_array.h"
#include "bindings/locked.h"
#include "bindings/sparse_rows.h"
#include "bindings/unlocked.h"
#include "train/evaluation.h"

namespace chainrule::bindings {

template <class T> class BoundNetwork {
public:
  BoundNetwork(const Device& device, Index inputs, std::vector<std::shared_ptr<const Layer<T>>> layers,
               std::uint64_t seed)
      : network_(device, inputs, std::move(layers), seed), most_rows_at_once_(rows_at_once(network_)) {}

  /// Runs `body` with the interpreter's lock released and the network to itself. What it asks of the device is done
  /// when this returns: another thread, whose work there is not in line with ours, may be next.
  template <class Body> decltype(auto) alone(Body body) {
    std::recursive_mutex& mutex = own_mutex();
    const Unlocked unlocked;
    const std::lock_guard lock(mutex);
    const Finished finished(network_.device());
    return body(network_);
  }

  /// Calls advance(seconds) again and again until it says that all is done. Between two slices it looks at signals and
  /// calls between(), with the interpreter's lock; an exception of either ends it. Others may have the network then.
  template <class Advance, class Between> void in_slices(Advance advance, Between between) {
    for (bool over = false; !over;) {
      over = alone([&](Network<T>&) { return advance(slice_seconds); });
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      between();
    }
  }

  /// The same with the network kept from the first slice to the last.
  template <class Advance> void in_slices_alone(Advance advance) {
    std::unique_lock lock(own_mutex(), std::defer_lock);
    {
      const Unlocked unlocked; // who has the network may be waiting for the interpreter
      lock.lock();
    }
    in_slices(advance, [] {});
  }

  /// For what neither waits nor changes: shapes, names, places in memory.
  Network<T>& network() { return network_; }

  // The loop by hand ----------------------------------------------------------------------------------------------

  Array<T> forward(py::object x_in, bool training) {
    const Inputs<T> x = inputs_of(network_, x_in);
    const Index rows = x.rows();
    std::optional<BoundSparseRows> sparse;
    if (x.is_sparse()) sparse = x_in.cast<BoundSparseRows>();
    Array<T> y({rows, network_.outputs()});
    T* out = y.mutable_data();
    alone([&](Network<T>& network) {
      can_go_back_ = false; // until all has gone well
      if (!step_ || step_->capacity() < rows) {
        step_.reset(); // first give back, then ask for more
        step_ = std::make_unique<StepBuffers<T>>(network, rows, true);
      }
      step_->set_rows(rows);
      sparse_ = std::move(sparse);
      if (!sparse_) {
        if (x_.size() < x.dense.size()) {
          x_ = Buffer<T>();
          x_ = Buffer<T>(x.dense.size(), Contents::undefined, network.memory());
        }
        copy_in(network.memory(), x_.data(), x.dense.data, x.dense.size());
      }
      step_number_ = network.steps();
      run(network.threads(rows, training, x), [&](const Team& team) {
        if (training) {
          network.forward_training(pass(team), kept_x(), *step_);
        } else {
          network.forward(pass(team), kept_x(), *step_);
        }
      });
      const MatrixView<T> result = step_->result();
      copy_out(network.memory(), out, result.data, result.size());
      if (training) network.set_steps(step_number_ + 1);
      can_go_back_ = training;
      ++pass_number_;
    });
    return y;
  }

  void backward(const py::object& dy_in) {
    const Array<T> dy = array_of<T>(dy_in, "dy", {-1, network_.outputs()});
    alone([&](Network<T>& network) {
      if (!can_go_back_) {
        throw std::runtime_error("backward needs a forward pass in training mode before it, and each only once");
      }
      check(dy.shape(0) == step_->rows(), "dy has ", dy.shape(0), " rows, the forward pass had ", step_->rows());
      copy_in(network.memory(), step_->gradient(network.depth() - 1).data, dy.data(), dy.size());
      network.gradients(); // allocated before the threads start
      run(network.threads(step_->rows(), true, kept_x()),
          [&](const Team& team) { network.backward(pass(team), kept_x(), *step_); });
      can_go_back_ = false;
    });
  }

  void set_trainable(const std::vector<bool>& trainable) {
    alone([&](Network<T>& network) {
      network.set_trainable(trainable);
      can_go_back_ = false; // a layer may have gone forward in another way
    });
  }

  void zero_gradients() {
    alone([&](Network<T>& network) {
      T* gradients = network.gradients();
      run(network.arena_threads(),
          [&](const Team& team) { network.kernels().fill(team, 0, gradients, network.arena_size()); });
    });
  }

  /// Copies of all layers' outputs in the last forward pass.
  py::list layer_outputs() {
    struct Copy {
      Index cols;
      std::vector<T> values;
    };
    std::vector<Copy> copies;
    Index rows = 0;
    alone([&](Network<T>& network) {
      if (!step_) throw std::runtime_error("layer_outputs needs a forward pass before it");
      rows = step_->rows();
      for (Index layer = 0; layer < network.depth(); ++layer) {
        const MatrixView<T> h = step_->output(layer);
        copies.push_back({h.cols, std::vector<T>(static_cast<std::size_t>(h.size()))});
        copy_out(network.memory(), copies.back().values.data(), h.data, h.size());
      }
    });
    py::list list;
    for (const Copy& copy : copies) list.append(Array<T>({rows, copy.cols}, copy.values.data()));
    return list;
  }

  std::uint64_t pass_number() const { return pass_number_; }

  // Prediction ----------------------------------------------------------------------------------------------------

  Array<T> predict(py::object x_in, const py::object& out_in) {
    const Inputs<T> x = inputs_of(network_, x_in);
    const Index rows = x.rows();
    Array<T> p;
    if (out_in.is_none()) {
      p = Array<T>({rows, network_.outputs()});
    } else {
      p = array_of<T>(out_in, "out", {rows, network_.outputs()});
      check(p.is(out_in) && p.writeable(), "out must be a writable, C-contiguous array");
    }
    const MatrixView<T> result = view_of_mutable(p);
    if (!predicted_at_once(x, result)) predict_in_slices(host_memory, x, result);
    return p;
  }

  /// The same where x, and the result, lie on the network's GPU.
  DeviceArray predict_there(const DeviceArray& x_in, std::optional<DeviceArray> out) {
    check(!network_.device().is_host(), "the network is not on the GPU");
    const MatrixView<const T> x = x_in.matrix<const T>("X", network_.inputs());
    check(x.rows <= most_rows, "X must have at most ", most_rows, " rows");
    if (!out) out = DeviceArray::made({x.rows, network_.outputs()}, device_number<T>);
    const MatrixView<T> p = out->matrix<T>("out", network_.outputs());
    check(p.rows == x.rows, "out must have ", x.rows, " rows; got ", p.rows);
    check(!overlap(x, p), "out must not share memory with X");
    predict_in_slices(network_.memory(), x, p);
    return *out;
  }

  /// predict() of arrays that can be taken as they are, with finite numbers in x, apart from out. None, and nothing
  /// done, where something is otherwise: the slower way then converts, or says what is wrong.
  py::object predict_as_is(py::handle x_in, py::handle out_in) {
    const Index outputs = network_.outputs();
    const auto x = matrix_as_is<const T>(x_in);
    if (!x || x->cols != network_.inputs() || x->rows > most_rows || !is_finite(*x)) return py::none();
    py::object out = out_in.is_none() ? new_matrix<T>(x->rows, outputs) : py::reinterpret_borrow<py::object>(out_in);
    const auto p = matrix_as_is<T>(out);
    if (!p || p->rows != x->rows || p->cols != outputs || overlap(*x, *p)) return py::none();
    if (!predicted_at_once(*x, *p)) predict_in_slices(host_memory, *x, *p);
    return out;
  }

  /// predict() for native code, which calls without the interpreter's lock.
  void predict_natively(const Inputs<T>& x, const MatrixView<T>& p) {
    std::recursive_mutex& mutex = [&]() -> std::recursive_mutex& {
      if (fork_generation() == mutex_generation_ && !CallingPython::now()) return *mutex_;
      const Locked locked;
      return own_mutex();
    }();
    const std::lock_guard lock(mutex);
    const Finished finished(network_.device());
    for (Index next = 0; next < x.rows();) next = predict_slice(host_memory, x, p, next, slice_seconds);
  }

private:
  /// Waits for the device when it goes; what the device reports then is thrown, unless something else is already.
  class Finished {
  public:
    explicit Finished(const Device& device) : device_(device) {}
    Finished(const Finished&) = delete;
    Finished& operator=(const Finished&) = delete;
    ~Finished() noexcept(false) {
      try {
        device_.finish();
      } catch (...) {
        if (std::uncaught_exceptions() == exceptions_) throw;
      }
    }

  private:
    const Device& device_;
    int exceptions_ = std::uncaught_exceptions();
  };

  // Long enough to cost nothing, short enough for Ctrl-C to feel immediate.
  static constexpr double slice_seconds = 0.05;
  // Rows are counted in 32 bits.
  static constexpr Index most_rows = (Index{1} << 31) - 1;

  /// Rows that are predicted in about 20 us, 0 if not even one is: so long others may wait for the interpreter's lock,
  /// which takes longer to give back and get again than a small network takes for a row.
  static Index rows_at_once(const Network<T>& network) {
    if (!network.device().is_host()) return 0;
    // A core does some 20 operations a nanosecond where the weights are not in its cache. A layer takes about 20 ns
    // and no element more than 30 operations, whatever its activation.
    double row = 2.0 * static_cast<double>(network.arena_size());
    for (Index layer = 0; layer < network.depth(); ++layer) {
      row += 400.0 + 30.0 * static_cast<double>(network.layer_outputs(layer) + network.layer_scratch(layer, 1, false));
    }
    return std::min(static_cast<Index>(4e5 / row), piece_rows(network));
  }

  bool is_finite(const MatrixView<const T>& x) const {
    if (x.rows <= most_rows_at_once_) return all_finite(x.data, x.size());
    const Unlocked unlocked;
    return all_finite(x.data, x.size());
  }

  PredictionBuffers<T>& prediction_buffers(Index rows) {
    const Index piece = std::clamp<Index>(rows, 1, piece_rows(network_));
    if (!prediction_ || prediction_->step.capacity() < piece) {
      prediction_.reset(); // first give back, then ask for more
      prediction_ = std::make_unique<PredictionBuffers<T>>(network_, piece);
    }
    return *prediction_;
  }

  /// Predicts a few rows by this thread, which keeps the interpreter's lock; false, and nothing done, if they are too
  /// many or somebody else has the network.
  bool predicted_at_once(const Inputs<T>& x, const MatrixView<T>& p) {
    if (x.rows() > most_rows_at_once_ || network_.threads(x.rows(), false, x) > 1) return false;
    const std::unique_lock lock(own_mutex(), std::try_to_lock);
    if (!lock) return false;
    chainrule::predict(network_, host_memory, x, p, 0, 0, prediction_buffers(x.rows()), single_);
    return true;
  }

  /// Goes on with a prediction at row `next`, for some seconds; returns the next row to do.
  Index predict_slice(const Memory& memory, const Inputs<T>& x, const MatrixView<T>& p, Index next, double seconds) {
    PredictionBuffers<T>& buffers = prediction_buffers(x.rows());
    ThreadTeam& team = team_of(network_.threads(std::min(x.rows(), piece_rows(network_)), false, x));
    return chainrule::predict(network_, memory, x, p, next, seconds, buffers, team);
  }

  void predict_in_slices(const Memory& memory, const Inputs<T>& x, const MatrixView<T>& p) {
    Index next = 0;
    in_slices_alone([&](double seconds) {
      next = predict_slice(memory, x, p, next, seconds);
      return next == x.rows();
    });
  }

  Pass<T> pass(const Team& team) const {
    Pass<T> pass = network_.pass(team);
    pass.step = step_number_;
    pass.gradients = Write::add;
    return pass;
  }
  Inputs<T> kept_x() const {
    if (sparse_) return sparse_->template view<T>();
    return dense_view<const T>(x_.data(), step_->rows(), network_.inputs());
  }

  ThreadTeam& team_of(int threads) {
    if (threads == 1) return single_;
    if (team_.threads() != threads) team_ = ThreadTeam(threads);
    return team_;
  }
  template <class Body> void run(int threads, Body body) { team_of(threads).run(body); }

  /// The network's lock, asked for with the interpreter's: a new one in a forked child, where one that a thread of the
  /// parent held would never be opened.
  std::recursive_mutex& own_mutex() {
    if (CallingPython::now()) {
      throw std::runtime_error("no network can be used within a Python function of an activation or a loss");
    }
    if (fork_generation() != mutex_generation_) {
      mutex_ = std::make_unique<std::recursive_mutex>();
      mutex_generation_ = fork_generation();
    }
    return *mutex_;
  }

  Network<T> network_;
  Index most_rows_at_once_;
  // Recursive: a signal handler, which runs between two slices, may use the network that its thread has.
  std::unique_ptr<std::recursive_mutex> mutex_ = std::make_unique<std::recursive_mutex>();
  int mutex_generation_ = fork_generation();
  ThreadTeam single_, team_; // apart, so that single rows between large batches do not make a team each time
  std::unique_ptr<StepBuffers<T>> step_;  // of the loop by hand
  Buffer<T> x_;                           // what the last forward pass saw, (rows, inputs) or more
  std::optional<BoundSparseRows> sparse_; // or these
  std::uint64_t step_number_ = 0;         // by which its masks were counted
  std::atomic<std::uint64_t> pass_number_{0};
  bool can_go_back_ = false;
  std::unique_ptr<PredictionBuffers<T>> prediction_;
};

/// A network for native code (bind_native.cpp): a capsule with a share of it.
template <class T> py::capsule native_handle(std::shared_ptr<BoundNetwork<T>> network);
template <> py::capsule native_handle<float>(std::shared_ptr<BoundNetwork<float>> network);
template <> py::capsule native_handle<double>(std::shared_ptr<BoundNetwork<double>> network);

} // namespace chainrule::bindings
