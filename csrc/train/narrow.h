// Narrow steps: forward pass, loss and backward pass of a batch as one piece of work, where the network's device offers
// that (NarrowSteps in kernels.h) and network and loss are such that it can be told of them: at most eight Dense
// layers, without a mask, with activations of single elements, under a loss that says what it is. All others go layer
// by layer.
#pragma once

#include "train/objective.h"

namespace chainrule {

/// Whether steps of this network with this loss are taken as one.
template <class T> bool takes_narrow_steps(Network<T>& network, const Loss<T>& loss);

/// Takes a step up to the gradients of all layers that learn, and assesses it, with p (B, K) being room for its result;
/// false, and nothing done, where it has to go layer by layer. Called by all threads; the assessment is to add it.
template <class T>
bool take_narrow_step(const Pass<T>& pass, Network<T>& network, const Data<T>& batch, const MatrixView<T>& p,
                      Assessment<T>& assessment);

} // namespace chainrule
