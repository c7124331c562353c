// The engine for native code, as chainrule/engine.h declares it: a table of C functions in a capsule, and networks in
// capsules. What they do is done elsewhere; here exceptions become return values.
#include <pybind11/stl.h>

#include <limits>
#include <string>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "chainrule/engine.h"
#include "cpu/table.h"

/// A network of one of the two precisions, with a share of it.
struct chainrule_network {
  std::shared_ptr<chainrule::bindings::BoundNetwork<float>> single{};
  std::shared_ptr<chainrule::bindings::BoundNetwork<double>> twice{};
};

namespace chainrule::bindings {

namespace {

thread_local std::string last_error;

/// Runs `body` without the interpreter's lock; 0, or -1 with what it throws noted.
template <class Body> int called(Body body) {
  try {
    last_error.clear();
    if (PyGILState_Check() != 0) {
      const Unlocked unlocked;
      body();
    } else {
      body();
    }
    return 0;
  } catch (const std::exception& error) {
    last_error = error.what();
  }
  return -1;
}

template <class T> BoundNetwork<T>& network_of(chainrule_network* handle) {
  check(handle != nullptr, "network is null");
  if constexpr (sizeof(T) == 4) {
    check(handle->single != nullptr, "the network is of float64");
    return *handle->single;
  } else {
    check(handle->twice != nullptr, "the network is of float32");
    return *handle->twice;
  }
}

template <class T> int predict(chainrule_network* handle, std::ptrdiff_t rows, const T* x, T* p) {
  return called([&] {
    BoundNetwork<T>& network = network_of<T>(handle);
    check(rows >= 0 && rows <= std::numeric_limits<std::int32_t>::max(), "rows must be 0 to 2147483647; got ", rows);
    check(rows == 0 || (x != nullptr && p != nullptr), "x and p must not be null");
    network.predict_natively(dense_view<const T>(x, rows, network.network().inputs()),
                             dense_view(p, rows, network.network().outputs()));
  });
}

template <class T> int matmul(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, const T* a, const T* b, T* c) {
  return called([&] {
    constexpr std::ptrdiff_t most = std::numeric_limits<std::int32_t>::max();
    for (const std::ptrdiff_t size : {m, n, k}) check(size >= 0 && size <= most, "a size must be 0 to ", most);
    check(a != nullptr && b != nullptr && c != nullptr, "a, b and c must not be null");
    thread_local ThreadTeam alone; // with scratch memory, which a product needs
    auto body = [&](const Team& team) {
      const Factor<T> left{dense_view(a, m, k)}, right{dense_view(b, k, n)};
      cpu::device().kernels<T>().matmul(team, left, right, dense_view(c, m, n), Write::overwrite, {});
    };
    alone.run(body);
  });
}

/// An activation of formulas/activations.h, by the thread that calls.
template <class T, ActivationKind kind> void activation(std::ptrdiff_t n, const T* z, T* h) {
  const Team alone(0, 1, nullptr, nullptr);
  cpu::device().kernels<T>().activation_forward(alone, {kind}, z, h, n);
}

std::ptrdiff_t inputs(const chainrule_network* handle) {
  return handle->single ? handle->single->network().inputs() : handle->twice->network().inputs();
}

std::ptrdiff_t outputs(const chainrule_network* handle) {
  return handle->single ? handle->single->network().outputs() : handle->twice->network().outputs();
}

const chainrule_engine engine{
    .abi = CHAINRULE_ENGINE_ABI,
    .error = [] { return last_error.c_str(); },
    .inputs = inputs,
    .outputs = outputs,
    .predict_float32 = predict<float>,
    .predict_float64 = predict<double>,
    .matmul_float32 = matmul<float>,
    .matmul_float64 = matmul<double>,
    .tanh_float32 = activation<float, ActivationKind::tanh>,
    .tanh_float64 = activation<double, ActivationKind::tanh>,
    .sigmoid_float32 = activation<float, ActivationKind::sigmoid>,
    .sigmoid_float64 = activation<double, ActivationKind::sigmoid>,
};

py::capsule handle_of(chainrule_network network) {
  auto handle = std::make_unique<chainrule_network>(std::move(network));
  const py::capsule capsule(handle.get(), CHAINRULE_NETWORK_CAPSULE,
                            [](void* pointer) { delete static_cast<chainrule_network*>(pointer); });
  handle.release();
  return capsule;
}

} // namespace

template <> py::capsule native_handle<float>(std::shared_ptr<BoundNetwork<float>> network) {
  return handle_of({.single = std::move(network)});
}
template <> py::capsule native_handle<double>(std::shared_ptr<BoundNetwork<double>> network) {
  return handle_of({.twice = std::move(network)});
}

void bind_native(py::module_& module) {
  module.attr("_c_engine") = py::capsule(&engine, CHAINRULE_ENGINE_CAPSULE);
  // For those who reach no capsule: the functions that an activation may call, by their addresses.
  py::dict functions;
  functions["tanh_float32"] = reinterpret_cast<std::uintptr_t>(engine.tanh_float32);
  functions["tanh_float64"] = reinterpret_cast<std::uintptr_t>(engine.tanh_float64);
  functions["sigmoid_float32"] = reinterpret_cast<std::uintptr_t>(engine.sigmoid_float32);
  functions["sigmoid_float64"] = reinterpret_cast<std::uintptr_t>(engine.sigmoid_float64);
  module.attr("_c_functions") = functions;
}

} // namespace chainrule::bindings
