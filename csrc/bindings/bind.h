// What the files of bindings/ offer to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::bindings {

namespace py = pybind11;

void bind_process(py::module_& module);      // versions, instruction sets, threads, random numbers
void bind_descriptions(py::module_& module); // initializers, constraints, schedules: the same for both precisions

void bind_device_array(py::module_& module); // arrays in the GPU's memory
void bind_changes(py::module_& module);      // augmentation, described
void bind_native(py::module_& module);       // the engine for native code
void bind_sparse_rows(py::module_& module);  // arrays of which few elements are not 0

template <class T> void bind_kernels(py::module_& module);
template <class T> void bind_layers(py::module_& module);
template <class T> void bind_losses(py::module_& module);
template <class T> void bind_optimizers(py::module_& module);
template <class T> void bind_penalties(py::module_& module);
template <class T> void bind_network(py::module_& module);
template <class T> void bind_fit(py::module_& module);
template <class T> void bind_augmentation(py::module_& module);

/// Everything that exists once for each precision.
template <class T> void bind_precision(py::module_& module) {
  bind_kernels<T>(module);
  bind_layers<T>(module);
  bind_losses<T>(module);
  bind_optimizers<T>(module);
  bind_penalties<T>(module);
  bind_network<T>(module);
  bind_fit<T>(module);
  bind_augmentation<T>(module);
}

} // namespace chainrule::bindings
