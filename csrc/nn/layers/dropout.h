// Dropout: in training some elements are dropped, so that no unit can rely on another.
//
//   training    h = x * mask * s       dx = dh * mask * s
//   prediction  h = x * p
//
//   inverted      P(mask = 0) = rate,  s = 1 / (1 - rate),  p = 1: the expected output is the input. What libraries do
//   classic       P(mask = 0) = rate,  s = 1,  p = 1 - rate        (Srivastava et al. 2014; lectures [000], [003])
//   fixed_count   exactly n = round(rate * width) elements of each row are dropped,  s = 1 / (1 - n / width),  p = 1
//                                                                   (lecture [002]: "n neurons will be disactivated")
//
// The mask is drawn for each row, or, as lecture [001] reads, once for all rows of a step. It is counted by seed,
// layer and step, so backward recomputes what forward used. Source: N. Srivastava et al., JMLR 15 (2014).
#pragma once

#include <cmath>
#include <string>

#include "core/named.h"
#include "nn/layers/layer.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class Dropout final : public Layer<T> {
public:
  Dropout(double rate, const std::string& variant, bool per_batch)
      : rate_(below_one("rate", rate)), variant_(named<Variant>(variant_names, "variant", variant)),
        per_batch_(per_batch) {}

  const char* kind() const override { return "Dropout"; }
  Index outputs(Index inputs) const override {
    if (variant_ == Variant::fixed_count && rate_ > 0) {
      check(count(inputs) > 0, "a rate of ", rate_, " drops none of ", inputs, " inputs");
      check(count(inputs) < inputs, "a rate of ", rate_, " drops all of ", inputs, " inputs");
    }
    return inputs;
  }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    if (pass.training) {
      pass.kernels.dropout(pass.team, mask(pass, place, x.cols), scale(x.cols), x, h);
    } else {
      pass.kernels.scale(pass.team, variant_ == Variant::classic ? 1 - rate_ : 1, x.data, h.data, h.size());
    }
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>&, const MatrixView<const T>&,
                const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (dx.data != nullptr) pass.kernels.dropout(pass.team, mask(pass, place, dx.cols), scale(dx.cols), dh, dx);
  }

private:
  enum class Variant { inverted, classic, fixed_count };
  static constexpr const char* variant_names[] = {"inverted", "classic", "fixed_count"};

  Index count(Index width) const { return static_cast<Index>(std::nearbyint(rate_ * static_cast<double>(width))); }
  double scale(Index width) const {
    if (variant_ == Variant::classic) return 1;
    const bool counts = variant_ == Variant::fixed_count;
    return 1 / (1 - (counts ? static_cast<double>(count(width)) / static_cast<double>(width) : rate_));
  }
  DropMask mask(const Pass<T>& pass, const LayerPlace<T>& place, Index width) const {
    return {.stream = {pass.seed, Purpose::dropout, place.number, pass.step},
            .rate = rate_,
            .count = variant_ == Variant::fixed_count ? count(width) : -1,
            .same = per_batch_};
  }

  double rate_;
  Variant variant_;
  bool per_batch_;
};

} // namespace chainrule
