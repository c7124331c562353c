// The way back through an activation of single elements, on the GPU: what activation.cu offers, and what a product
// queues behind itself that is asked for c g'(h). Its kernels are compiled once, in activation.cu.
#pragma once

#include "core/view.h"
#include "formulas/activations.h"

namespace chainrule::cuda {

/// dz = dh * g'(z), g' taken from the output h, n elements. dz may alias dh.
template <class T> void queue_slopes(Activation activation, const T* h, const T* dh, T* dz, Index n);

} // namespace chainrule::cuda
