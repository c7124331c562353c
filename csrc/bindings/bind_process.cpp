// What holds for the whole process: versions, instruction sets, threads, random numbers.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/unlocked.h"
#include "cpu/table.h"
#include "cuda_table.h"
#include "train/data.h"

namespace chainrule::bindings {

namespace {

py::dict build_info() {
  py::dict info;
  info["version"] = CHAINRULE_VERSION;
  info["compiler"] = CHAINRULE_COMPILER;
  info["threading"] = threading_name();
  info["cuda"] = cuda::compiled();
  info["sanitize"] = CHAINRULE_SANITIZE != 0;
  return info;
}

/// What the GPU is, or None where none can be used.
py::object cuda_about() {
  if (!cuda::available()) return py::none();
  const cuda::About gpu = cuda::about();
  py::dict about;
  about["name"] = gpu.name;
  about["compute_capability"] = py::make_tuple(gpu.major, gpu.minor);
  about["processors"] = gpu.processors;
  about["memory"] = gpu.memory;
  about["free"] = gpu.free;
  about["driver"] = py::make_tuple(gpu.driver / 1000, gpu.driver % 1000 / 10);
  about["runtime"] = py::make_tuple(gpu.runtime / 1000, gpu.runtime % 1000 / 10);
  return about;
}

py::array_t<std::int32_t> shuffled(Index n, std::uint64_t seed, std::uint64_t epoch) {
  check(n >= 0 && n < Index{1} << 31, "n must be 0 to 2^31 - 1; got ", n);
  py::array_t<std::int32_t> order(n);
  std::int32_t* out = order.mutable_data();
  const Unlocked unlocked;
  const Shuffle shuffle = shuffle_of(seed, epoch, n);
  auto body = [&](const Team& team) { cpu::device().float32.shuffled_order(team, shuffle, out); };
  ThreadTeam().run(body);
  return order;
}

py::tuple philox_words(std::uint64_t seed, std::uint32_t purpose, std::uint32_t layer, std::uint64_t step,
                       std::uint32_t block) {
  const Words words = philox({seed, static_cast<Purpose>(purpose), layer, step}, block);
  return py::make_tuple(words[0], words[1], words[2], words[3]);
}

} // namespace

void bind_process(py::module_& module) {
  using py::arg;
  module.def("build_info", build_info);
  module.def("isas", cpu::isas);
  module.def("isa", [] { return std::string(cpu::device().name); });
  module.def("set_isa", cpu::use_isa, arg("name"));
  module.def("thread_limit", thread_limit);
  module.def("set_thread_limit", set_thread_limit, arg("threads"));
  module.def("own_thread_limit", own_thread_limit);
  module.def("set_own_thread_limit", set_own_thread_limit, arg("threads"));
  module.def("work_per_thread", work_per_thread);
  module.def("set_work_per_thread", set_work_per_thread, arg("work"));
  module.def("shuffled_order", shuffled, arg("n"), arg("seed"), arg("epoch"));
  module.def("philox", philox_words, arg("seed"), arg("purpose"), arg("layer"), arg("step"), arg("block"));
  module.def("resident_limit", resident_limit);
  module.def("set_resident_limit", set_resident_limit, arg("bytes"));
  module.def("cuda_available", cuda::available);
  module.def("cuda_trouble", cuda::trouble);
  module.def("cuda_about", cuda_about);
  module.def("activation_names",
             [] { return std::vector<std::string>(std::begin(activation_names), std::end(activation_names)); });
}

} // namespace chainrule::bindings
