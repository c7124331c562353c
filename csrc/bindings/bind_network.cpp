// Network for Python: parameters by name, the loop by hand, prediction.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "bindings/gpu.h"
#include "cpu/table.h"
#include "train/narrow.h"
#include "train/run_state.h"

namespace chainrule::bindings {

namespace {

using py::arg;

/// n numbers of a network's device, which live as long as `owner`: a view, or, where the device has a memory of its
/// own, a copy that cannot be written to, so that nobody takes it for the numbers themselves.
template <class T> py::array_t<T> shown(const py::object& owner, BoundNetwork<T>& self, T* numbers, Index n) {
  if (self.network().device().is_host()) return py::array_t<T>(n, numbers, owner);
  py::array_t<T> copy(n);
  T* out = copy.mutable_data();
  self.alone([&](Network<T>& network) { copy_out(network.memory(), out, numbers, n); });
  copy.attr("flags").attr("writeable") = false;
  return copy;
}

py::str name_of(const Parameter& parameter) { return text(parameter.layer, ".", parameter.name); }

/// The parts of an array laid out as the arena, by name: "0.weight", "0.bias", ...: of what can learn, or of the
/// statistics.
template <class T> py::dict parts(const py::array_t<T>& arena, const Network<T>& network, bool statistics) {
  py::dict result;
  for (const Parameter& parameter : network.parameters()) {
    if (statistics ? parameter.role != Role::statistic : !parameter.can_learn()) continue;
    const Shape shape(parameter.shape.begin(), parameter.shape.end());
    py::array_t<T> part(shape, arena.data() + parameter.offset, arena);
    if (!arena.writeable()) part.attr("flags").attr("writeable") = false;
    result[name_of(parameter)] = part;
  }
  return result;
}

/// The same parts where they lie on the GPU, each alive as long as the network: what can learn, and the statistics.
template <class T> py::dict parts_there(const py::object& self, T* numbers) {
  const Network<T>& network = self.cast<BoundNetwork<T>&>().network();
  check(!network.device().is_host(), "the network is not on a GPU: its arrays are NumPy's");
  py::dict result;
  for (const Parameter& parameter : network.parameters()) {
    if (parameter.role == Role::constant) continue;
    const Shape shape(parameter.shape.begin(), parameter.shape.end());
    result[name_of(parameter)] = DeviceArray(self, numbers + parameter.offset, shape, device_number<T>, true);
  }
  return result;
}

template <class T> py::array_t<T> arena_of(const py::object& self) {
  auto& bound = self.cast<BoundNetwork<T>&>();
  return shown(self, bound, bound.network().arena(), bound.network().arena_size());
}

template <class T> void set_arena(BoundNetwork<T>& self, const py::object& arena_in) {
  const Array<T> arena = array_of<T>(arena_in, "arena", {self.network().arena_size()});
  self.alone([&](Network<T>& network) { copy_in(network.memory(), network.arena(), arena.data(), arena.size()); });
}

/// Sets parameters and statistics by their names, all at once.
template <class T> void assign(BoundNetwork<T>& self, const py::dict& state) {
  std::vector<std::pair<Index, Array<T>>> values; // with where they go
  for (const Parameter& parameter : self.network().parameters()) {
    const py::str name = name_of(parameter);
    if (parameter.role == Role::constant || !state.contains(name)) continue;
    const Shape shape(parameter.shape.begin(), parameter.shape.end());
    values.emplace_back(parameter.offset, array_of<T>(state[name], "a value", shape));
  }
  check(values.size() == state.size(), "state has a name that no parameter has");
  self.alone([&](Network<T>& network) {
    for (const auto& [offset, value] : values) {
      copy_in(network.memory(), network.arena() + offset, value.data(), value.size());
    }
  });
}

template <class T> const Device& device_named(const std::string& name) {
  const Device* gpu = gpu_named<T>(name);
  check(gpu != nullptr || name == "cpu", "device must be \"cpu\" or \"cuda\"; got \"", name, "\"");
  return gpu != nullptr ? *gpu : cpu::device();
}

template <class T> py::list layers(BoundNetwork<T>& self) {
  py::list list;
  const Network<T>& network = self.network();
  for (Index layer = 0; layer < network.depth(); ++layer) {
    Index parameters = 0, statistics = 0;
    for (const Parameter& parameter : network.layer_parameters(layer)) {
      if (parameter.can_learn()) parameters += parameter.size();
      if (parameter.role == Role::statistic) statistics += parameter.size();
    }
    py::dict info;
    info["kind"] = network.layer_kind(layer);
    info["inputs"] = network.layer_inputs(layer);
    info["outputs"] = network.layer_outputs(layer);
    info["parameters"] = parameters;
    info["statistics"] = statistics;
    list.append(info);
  }
  return list;
}

// predict_as_is() for Python, as a plain function: pybind11's dispatch would take 0.25 us, a third of what a row of
// 64-32-10 takes in all. Its self is a capsule with a share of the network; no other object can become its self.

template <class T> using Share = std::shared_ptr<BoundNetwork<T>>;
constexpr const char* share_name = "chainrule.Network";

template <class T> PyObject* predict_as_is(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  try {
    if (count != 2) throw py::type_error(text("predict_as_is takes x and out; got ", count, " arguments"));
    BoundNetwork<T>& network = **static_cast<Share<T>*>(PyCapsule_GetPointer(self, share_name));
    return network.predict_as_is(arguments[0], arguments[1]).release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::invalid_argument& error) { // what check() throws
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

template <class T> py::object predictor(const Share<T>& self) {
  static PyMethodDef definition{"predict_as_is",
                                reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(predict_as_is<T>)),
                                METH_FASTCALL, "predict(x, out) where both can be taken as they are, else None."};
  auto share = std::make_unique<Share<T>>(self);
  const py::capsule capsule(share.get(), share_name, [](void* pointer) { delete static_cast<Share<T>*>(pointer); });
  share.release();
  PyObject* made = PyCFunction_New(&definition, capsule.ptr());
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

} // namespace

template <class T> void bind_network(py::module_& module) {
  using Self = BoundNetwork<T>;
  py::class_<Self, std::shared_ptr<Self>>(module, "Network")
      .def(py::init([](Index inputs, const std::vector<std::shared_ptr<Layer<T>>>& list, std::uint64_t seed,
                       const std::string& device) {
             for (const auto& layer : list) check(layer != nullptr, "a layer is None");
             std::vector<std::shared_ptr<const Layer<T>>> layers(list.begin(), list.end());
             const Unlocked unlocked; // drawing many parameters takes its time
             return std::make_shared<Self>(device_named<T>(device), inputs, std::move(layers), seed);
           }),
           arg("inputs"), arg("layers"), arg("seed"), arg("device") = "cpu")
      .def_property_readonly("inputs", [](Self& self) { return self.network().inputs(); })
      .def_property_readonly("outputs", [](Self& self) { return self.network().outputs(); })
      .def_property_readonly("seed", [](Self& self) { return self.network().seed(); })
      .def_property(
          "steps", [](Self& self) { return self.alone([](Network<T>& network) { return network.steps(); }); },
          [](Self& self, std::uint64_t steps) { self.alone([&](Network<T>& network) { network.set_steps(steps); }); })
      .def("layers", layers<T>)
      .def("is_finite",
           [](Self& self) { return self.alone([](Network<T>& network) { return chainrule::is_finite(network); }); })
      .def("arena", arena_of<T>)
      .def("set_arena", set_arena<T>, arg("arena"))
      .def("assign", assign<T>, arg("state"))
      .def("parameters",
           [](const py::object& self) { return parts(arena_of<T>(self), self.cast<Self&>().network(), false); })
      .def("statistics",
           [](const py::object& self) { return parts(arena_of<T>(self), self.cast<Self&>().network(), true); })
      .def("gradients",
           [](const py::object& self) {
             auto& bound = self.cast<Self&>();
             T* gradients = bound.alone([](Network<T>& network) { return network.gradients(); });
             return parts(shown(self, bound, gradients, bound.network().arena_size()), bound.network(), false);
           })
      .def("state_there",
           [](const py::object& self) { return parts_there(self, self.cast<Self&>().network().arena()); })
      .def("gradients_there",
           [](const py::object& self) {
             return parts_there(self,
                                self.cast<Self&>().alone([](Network<T>& network) { return network.gradients(); }));
           })
      .def("predict_there", &Self::predict_there, arg("x"), arg("out") = py::none())
      .def("set_trainable", &Self::set_trainable, arg("trainable"))
      .def("forward", &Self::forward, arg("x"), arg("training"))
      .def_property_readonly("pass_number", &Self::pass_number)
      .def("backward", &Self::backward, arg("dy"))
      .def("zero_grad", [](Self& self) { self.zero_gradients(); })
      .def("layer_outputs", &Self::layer_outputs)
      .def("predict", &Self::predict, arg("x"), arg("out") = py::none())
      .def("predictor", predictor<T>)
      .def("handle", native_handle<T>)
      .def(
          "takes_narrow_steps",
          [](Self& self, const Loss<T>& loss) {
            return self.alone([&](Network<T>& network) { return takes_narrow_steps(network, loss); });
          },
          arg("loss"))
      .def(
          "step_bytes",
          [](Self& self, Index batch_size) {
            check(batch_size >= 1, "batch_size must be at least 1; got ", batch_size);
            return StepBuffers<T>::bytes(self.network(), batch_size, true);
          },
          arg("batch_size"))
      .def(
          "kept_bytes",
          [](Self& self, Index batch_size) {
            check(batch_size >= 1, "batch_size must be at least 1; got ", batch_size);
            const Network<T>& network = self.network();
            std::vector<Index> bytes;
            for (Index layer = 0; layer < network.depth(); ++layer) {
              const Index besides = network.layer_scratch(layer, batch_size, true);
              bytes.push_back((batch_size * network.layer_outputs(layer) + besides) * static_cast<Index>(sizeof(T)));
            }
            return bytes;
          },
          arg("batch_size"))
      .def(
          "threads",
          [](Self& self, Index batch_size) {
            check(batch_size >= 1, "batch_size must be at least 1; got ", batch_size);
            return self.network().threads(batch_size, true);
          },
          arg("batch_size"));
}

template void bind_network<float>(py::module_&);
template void bind_network<double>(py::module_&);

} // namespace chainrule::bindings
