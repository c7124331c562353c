// NativeLayer: a layer that is a table of functions of native code (chainrule/layer.h).
//
//   forward    h = f(x; w)        backward   dx = f's way back to x, dw = its way back to w
//
// Rows come in blocks, and so do parameters (native_functions.h).
#pragma once

#include <algorithm>
#include <memory>

#include "chainrule/layer.h"
#include "nn/layers/layer.h"
#include "nn/native_functions.h"

namespace chainrule {

template <class T> struct NativeLayerTable;
template <> struct NativeLayerTable<float> { using type = chainrule_layer_float32; };
template <> struct NativeLayerTable<double> { using type = chainrule_layer_float64; };

template <class T> class NativeLayer final : public Layer<T> {
public:
  using Table = typename NativeLayerTable<T>::type;

  /// The table lives as long as `owner`.
  NativeLayer(const Table* table, std::shared_ptr<const void> owner) : table_(table), owner_(std::move(owner)) {
    check(table->abi == CHAINRULE_LAYER_ABI && table->bytes == sizeof(Table),
          "the layer was built against another chainrule/layer.h: its version is ", table->abi, " and its size ",
          table->bytes, "; here they are ", CHAINRULE_LAYER_ABI, " and ", sizeof(Table));
    const bool whole = table->outputs != nullptr && table->forward != nullptr && table->backward != nullptr;
    const bool learns = table->start != nullptr && table->gradient != nullptr;
    check(whole && (table->parameters == nullptr || learns), "the table of the layer lacks a function");
  }

  const char* kind() const override { return "CustomLayer"; }
  Runs runs() const override { return Runs::on_host; }

  Index outputs(Index inputs) const override {
    const Index outputs = table_->outputs(inputs, table_->user);
    check(outputs >= 1 && outputs < Index{1} << 31, "the layer does not take ", inputs, " inputs: it says it has ",
          outputs, " outputs for them");
    return outputs;
  }
  /// Numbers that it learns.
  Index learned(Index inputs) const {
    const Index count = table_->parameters == nullptr ? 0 : table_->parameters(inputs, table_->user);
    check(count >= 0 && count < Index{1} << 31, "the layer says it learns ", count, " numbers");
    return count;
  }

  std::vector<Parameter> parameters(Index inputs) const override {
    const Index count = learned(inputs);
    if (count == 0) return {};
    return {{"parameter", {count}, Role::scale, Initializer("constant", 0)}};
  }
  void finish_start(T* parameters, Index inputs) const override {
    if (learned(inputs) > 0) table_->start(inputs, parameters, table_->user);
  }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    for_blocks(pass.team, x.rows, rows_of(x), [&](Index first, Index last) {
      table_->forward(last - first, x.cols, place.parameters, x.row(first), h.row(first), table_->user);
    });
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>& h, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (dx.data != nullptr) {
      for_blocks(pass.team, x.rows, rows_of(x), [&](Index first, Index last) {
        table_->backward(last - first, x.cols, place.parameters, x.row(first), h.row(first), dh.row(first),
                         dx.row(first), table_->user);
      });
    }
    if (place.gradients == nullptr) return;
    // Eight cache lines of float: enough to do for a call, and several blocks even of a short array.
    for_blocks(pass.team, learned(x.cols), 128, [&](Index first, Index last) {
      if (pass.gradients == Write::overwrite) std::fill(place.gradients + first, place.gradients + last, T(0));
      table_->gradient(x.rows, x.cols, first, last, place.parameters, x.data, h.data, dh.data, place.gradients,
                       table_->user);
    });
  }

private:
  /// Rows of a block: some 4096 numbers of x, as many as fit into a first-level cache with what is made of them.
  static Index rows_of(const MatrixView<const T>& x) { return std::max<Index>(1, 4096 / std::max<Index>(1, x.cols)); }

  const Table* table_;
  std::shared_ptr<const void> owner_;
};

} // namespace chainrule
