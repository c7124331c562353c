// DeviceArray for Python: the two interfaces, in and out.
#include "bindings/device_array.h"

#include <pybind11/stl.h>

#include <limits>

#include "bindings/bind.h"
#include "bindings/locked.h"
#include "bindings/unlocked.h"
#include "cuda_table.h"

namespace chainrule::bindings {

namespace {

// DLPack's structures: the ABI, as dlpack.h has it.
struct DLDevice {
  std::int32_t type, id;
};
struct DLDataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides; // in elements; null where there are no gaps
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
constexpr std::int32_t dl_cuda = 2, dl_cuda_managed = 13;
constexpr std::uint8_t dl_float = 2;
constexpr const char *dl_fresh = "dltensor", *dl_used = "used_dltensor";

/// Throws unless memory of the GPU in use begins there; an empty array may lie anywhere.
void check_place(const void* data, Index size) {
  if (!cuda::available()) throw std::runtime_error(cuda::trouble());
  check(size == 0 || cuda::is_gpu_memory(data), "the array does not lie in the memory of the GPU in use");
}

/// Whoever wrote an array may have asked a stream of its own to.
void wait_for_others() {
  const Unlocked unlocked;
  cuda::synchronize();
}

/// Whether strides, counted in `unit`, are those of rows without gaps.
bool without_gaps(const Shape& shape, const std::vector<Index>& strides, Index unit) {
  Index expected = unit;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] > 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

void check_shape(const Shape& shape) {
  Index size = 1;
  for (const auto extent : shape) {
    check(extent >= 0, "an extent of the array is negative");
    check(extent == 0 || size <= std::numeric_limits<Index>::max() / 8 / extent, "the array is too large");
    size *= extent;
  }
}

} // namespace

DeviceArray DeviceArray::from_interface(const py::object& object) {
  const py::dict interface = object.attr("__cuda_array_interface__");
  const auto type = interface["typestr"].cast<std::string>();
  check(type == "<f4" || type == "<f8", "arrays on a GPU must be of float32 or float64; got typestr \"", type, "\"");
  check(!interface.contains("mask") || interface["mask"].is_none(), "an array on a GPU must have no mask");
  const auto shape = interface["shape"].cast<Shape>();
  check_shape(shape);
  const DeviceNumber number = type == "<f4" ? DeviceNumber::float32 : DeviceNumber::float64;
  if (interface.contains("strides") && !interface["strides"].is_none()) {
    const auto strides = interface["strides"].cast<std::vector<Index>>();
    check(strides.size() == shape.size() && without_gaps(shape, strides, number == DeviceNumber::float32 ? 4 : 8),
          "arrays on a GPU must be C-contiguous");
  }
  const auto place = interface["data"].cast<std::pair<std::uintptr_t, bool>>();
  DeviceArray array(object, reinterpret_cast<void*>(place.first), shape, number, !place.second);
  check_place(array.data_, array.size());
  wait_for_others();
  return array;
}

DeviceArray DeviceArray::from_dlpack(const py::capsule& capsule) {
  check(capsule.name() != nullptr && std::string(capsule.name()) == dl_fresh,
        "the capsule holds no fresh DLPack tensor");
  auto* managed = capsule.get_pointer<DLManagedTensor>();
  const DLTensor& tensor = managed->tensor;
  check(tensor.device.type == dl_cuda || tensor.device.type == dl_cuda_managed, "the tensor does not lie on a GPU");
  check(tensor.dtype.code == dl_float && (tensor.dtype.bits == 32 || tensor.dtype.bits == 64) &&
            tensor.dtype.lanes == 1,
        "arrays on a GPU must be of float32 or float64");
  check(tensor.ndim >= 0 && tensor.ndim <= 32, "the tensor has ", tensor.ndim, " dimensions");
  const Shape shape(tensor.shape, tensor.shape + tensor.ndim);
  check_shape(shape);
  if (tensor.strides != nullptr) {
    check(without_gaps(shape, {tensor.strides, tensor.strides + tensor.ndim}, 1),
          "arrays on a GPU must be C-contiguous");
  }
  void* data = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
  DeviceArray array(py::none(), data, shape, tensor.dtype.bits == 32 ? DeviceNumber::float32 : DeviceNumber::float64,
                    true);
  check_place(data, array.size());
  wait_for_others();
  // Taken over only now that nothing can fail any more.
  const py::capsule owner(managed, [](void* taken) {
    auto* tensor_of_others = static_cast<DLManagedTensor*>(taken);
    if (tensor_of_others->deleter != nullptr) tensor_of_others->deleter(tensor_of_others);
  });
  if (PyCapsule_SetName(capsule.ptr(), dl_used) != 0) throw py::error_already_set();
  array.owner_ = owner;
  return array;
}

DeviceArray DeviceArray::made(Shape shape, DeviceNumber number) {
  DeviceArray array(py::none(), nullptr, std::move(shape), number, true);
  auto memory = std::make_unique<Buffer<std::byte>>(static_cast<Index>(array.bytes()), Contents::undefined,
                                                    *cuda::checked_device().memory);
  array.data_ = memory->data();
  array.owner_ = py::capsule(memory.get(), [](void* buffer) { delete static_cast<Buffer<std::byte>*>(buffer); });
  memory.release();
  return array;
}

py::array DeviceArray::numpy() const {
  py::array copy(number_ == DeviceNumber::float32 ? py::dtype::of<float>() : py::dtype::of<double>(), shape_);
  void* out = copy.mutable_data();
  const Unlocked unlocked;
  if (size() > 0) cuda::device().memory->copy_out(out, data_, bytes());
  return copy;
}

template <class T> bool DeviceArray::all_finite_of() const {
  const Unlocked unlocked;
  const Device& gpu = cuda::device();
  const Index blocks = sum_blocks(size());
  Buffer<double> room(1 + blocks, Contents::undefined, *gpu.memory);
  ThreadTeam alone;
  auto body = [&](const Team& team) {
    const Kernels<T>& kernels = gpu.kernels<T>();
    kernels.penalty_sum(team, {PenaltyTermKind::absolute, 1}, static_cast<const T*>(data_), size(), room.data() + 1);
    kernels.sum_up(team, room.data() + 1, blocks, room.data());
  };
  alone.run(body);
  double sum = 0;
  copy_out(*gpu.memory, &sum, room.data(), 1);
  return sum < std::numeric_limits<double>::infinity(); // false for NaN too
}

bool DeviceArray::all_finite() const {
  return number_ == DeviceNumber::float32 ? all_finite_of<float>() : all_finite_of<double>();
}

DeviceArray DeviceArray::first(Index rows) const {
  check(!shape_.empty() && rows >= 0 && rows <= shape_[0], "there are no ", rows, " rows");
  DeviceArray part = *this;
  part.shape_[0] = rows;
  return part;
}

py::dict DeviceArray::interface() const {
  py::dict interface;
  interface["shape"] = py::tuple(py::cast(shape_));
  interface["typestr"] = number_ == DeviceNumber::float32 ? "<f4" : "<f8";
  interface["data"] = py::make_tuple(reinterpret_cast<std::uintptr_t>(data_), !writable_);
  interface["strides"] = py::none();
  interface["version"] = 3;
  interface["stream"] = py::none(); // nothing is under way
  return interface;
}

py::capsule DeviceArray::dlpack() const {
  struct Lent {
    DLManagedTensor managed{};
    std::vector<std::int64_t> shape;
    py::object owner;
  };
  auto lent = std::make_unique<Lent>();
  lent->shape.assign(shape_.begin(), shape_.end());
  lent->owner = owner_;
  lent->managed.tensor = {data_,
                          {dl_cuda, cuda::number()},
                          static_cast<std::int32_t>(shape_.size()),
                          {dl_float, static_cast<std::uint8_t>(item_bytes() * 8), 1},
                          lent->shape.data(),
                          nullptr,
                          0};
  lent->managed.context = lent.get();
  lent->managed.deleter = [](DLManagedTensor* managed) {
    if (Py_IsInitialized() == 0) return; // it ended later than Python: the process is about to
    const Locked locked;                 // whoever borrowed it may give it back anywhere
    delete static_cast<Lent*>(managed->context);
  };
  const py::capsule capsule(&lent->managed, dl_fresh, [](PyObject* self) {
    if (PyCapsule_IsValid(self, dl_fresh) == 0) return; // somebody took it over
    auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(self, dl_fresh));
    managed->deleter(managed);
  });
  lent.release();
  return capsule;
}

namespace {

/// A capsule of DLPack, with the options of the array API standard: what cannot be had so is a BufferError.
py::capsule lend(const DeviceArray& self, const py::kwargs& options) {
  const auto given = [&](const char* name) {
    return options.contains(name) ? py::object(options[name]) : py::object(py::none());
  };
  if (given("copy").is(py::bool_(true))) throw py::buffer_error("DLPack here lends the memory itself, not a copy");
  const py::object device = given("dl_device");
  if (!device.is_none() && !device.equal(py::make_tuple(dl_cuda, cuda::number()))) {
    throw py::buffer_error("DLPack here lends the GPU's memory, no other");
  }
  if (!self.writable()) throw py::buffer_error("DLPack cannot say that an array must not be written to");
  return self.dlpack();
}

} // namespace

void bind_device_array(py::module_& module) {
  using py::arg;
  py::class_<DeviceArray>(module, "DeviceArray")
      .def_static("from_interface", &DeviceArray::from_interface, arg("array"))
      .def_static("from_dlpack", &DeviceArray::from_dlpack, arg("capsule"))
      .def_property_readonly("shape", [](const DeviceArray& self) { return py::tuple(py::cast(self.shape())); })
      .def_property_readonly("dtype", [](const DeviceArray& self) { return py::dtype(self.dtype()); })
      .def_property_readonly("writable", &DeviceArray::writable)
      .def("__len__", [](const DeviceArray& self) { return self.shape().empty() ? 0 : self.shape()[0]; })
      .def("numpy", &DeviceArray::numpy)
      .def("all_finite", &DeviceArray::all_finite)
      .def("first", &DeviceArray::first, arg("rows"))
      .def_property_readonly("__cuda_array_interface__", &DeviceArray::interface)
      .def("__dlpack__", lend)
      .def("__dlpack_device__", [](const DeviceArray&) { return py::make_tuple(dl_cuda, cuda::number()); });
}

} // namespace chainrule::bindings
