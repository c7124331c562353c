// The extension module: a table of contents. Each subject has a file of its own.
#include "bindings/bind.h"

PYBIND11_MODULE(_engine, module) {
  using namespace chainrule::bindings;
  module.doc() = "The native core of chainrule. Use it through the package; the stubs beside it say what is here.";
  bind_process(module);
  bind_descriptions(module);
  bind_device_array(module);
  bind_changes(module);
  bind_sparse_rows(module);
  bind_native(module);

  py::module_ float32 = module.def_submodule("float32", "The engine in single precision.");
  py::module_ float64 = module.def_submodule("float64", "The engine in double precision.");
  const py::dict names = module.attr("__dict__").attr("copy")();
  for (const auto& [name, value] : names) { // the classes that both precisions share
    if (!py::isinstance<py::type>(value)) continue;
    float32.attr(name) = value;
    float64.attr(name) = value;
  }
  bind_precision<float>(float32);
  bind_precision<double>(float64);
}
