// LayerRates: the learning rate of each layer in one step.
#pragma once

#include <map>

#include "nn/parameter.h"

namespace chainrule {

struct LayerRates {
  double rate = 0;                 // of layers that have no factor
  std::map<Index, double> factors; // by layer

  double factor(const Parameter& parameter) const {
    const auto found = factors.find(parameter.layer);
    return found == factors.end() ? 1 : found->second;
  }
  double of(const Parameter& parameter) const { return rate * factor(parameter); }
};

} // namespace chainrule
