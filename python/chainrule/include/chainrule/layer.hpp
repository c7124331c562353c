// chainrule/layer.hpp: a layer of chainrule from a class in C++17. Nothing to link with, and no Python.
//
//   template <class T> struct Scale {
//     std::ptrdiff_t outputs(std::ptrdiff_t inputs) const;
//     std::ptrdiff_t parameters(std::ptrdiff_t inputs) const;
//     void start(std::ptrdiff_t inputs, T* w) const;
//     void forward(std::ptrdiff_t rows, std::ptrdiff_t inputs, const T* w, const T* x, T* h) const;
//     void backward(std::ptrdiff_t rows, std::ptrdiff_t inputs, const T* w, const T* x, const T* h, const T* dh, T* dx)
//     const; void gradient(std::ptrdiff_t rows, std::ptrdiff_t inputs, std::ptrdiff_t first, std::ptrdiff_t last, const
//     T* w,
//                   const T* x, const T* h, const T* dh, T* dw) const;
//   };
//
// What each must do is said in layer.h. The methods are called by several threads at once, hence const; what they throw
// ends the process, as an exception cannot pass through C.
#ifndef CHAINRULE_LAYER_HPP
#define CHAINRULE_LAYER_HPP

#include <memory>
#include <utility>

#include "chainrule/layer.h"

namespace chainrule_native {

template <class T> struct Table;
template <> struct Table<float> {
  using type = chainrule_layer_float32;
  static constexpr const char* capsule = CHAINRULE_LAYER_CAPSULE_FLOAT32;
};
template <> struct Table<double> {
  using type = chainrule_layer_float64;
  static constexpr const char* capsule = CHAINRULE_LAYER_CAPSULE_FLOAT64;
};

/// A layer with its table, which a capsule named Table<T>::capsule may point to: table() is the object's address.
template <class T, class Layer> class LayerTable {
public:
  explicit LayerTable(Layer layer) : layer_(std::move(layer)) {
    table_.abi = CHAINRULE_LAYER_ABI;
    table_.bytes = sizeof(table_);
    table_.user = &layer_;
    table_.outputs = [](std::ptrdiff_t inputs, void* user) noexcept { return of(user).outputs(inputs); };
    table_.parameters = [](std::ptrdiff_t inputs, void* user) noexcept { return of(user).parameters(inputs); };
    table_.start = [](std::ptrdiff_t inputs, T* w, void* user) noexcept { of(user).start(inputs, w); };
    table_.forward = [](std::ptrdiff_t rows, std::ptrdiff_t inputs, const T* w, const T* x, T* h, void* user) noexcept {
      of(user).forward(rows, inputs, w, x, h);
    };
    table_.backward = [](std::ptrdiff_t rows, std::ptrdiff_t inputs, const T* w, const T* x, const T* h, const T* dh,
                         T* dx, void* user) noexcept { of(user).backward(rows, inputs, w, x, h, dh, dx); };
    table_.gradient = [](std::ptrdiff_t rows, std::ptrdiff_t inputs, std::ptrdiff_t first, std::ptrdiff_t last,
                         const T* w, const T* x, const T* h, const T* dh, T* dw,
                         void* user) noexcept { of(user).gradient(rows, inputs, first, last, w, x, h, dh, dw); };
  }
  LayerTable(const LayerTable&) = delete;
  LayerTable& operator=(const LayerTable&) = delete;

  const typename Table<T>::type* table() const { return &table_; }

private:
  static const Layer& of(void* user) { return *static_cast<const Layer*>(user); }

  typename Table<T>::type table_;
  Layer layer_;
};

} // namespace chainrule_native

#endif
