// update: from the gradients of the data to new parameters, the end of a step of training.
#pragma once

#include "nn/optimizers/optimizer.h"
#include "train/objective.h"

namespace chainrule {

/// In this order: the penalties' gradients join those of the data; penalties that shrink the parameters before the
/// update; clipping and the update; penalties that shrink them after it; the constraints.
///
/// Called by all threads, after optimizer.begin_step and a barrier; the caller places another one after it. `room` is
/// the network's penalty_room(), in the device's memory; it may be null where there are no penalties.
template <class T>
void update(const Pass<T>& pass, Network<T>& network, Optimizer<T>& optimizer, const Penalties<T>& penalties,
            const PenaltyRows& rows, double* room) {
  T *w = network.arena(), *g = network.gradients();
  for (const auto& penalty : penalties) {
    if (penalty->acts() != PenaltyActs::by_gradient) continue;
    penalty->add_gradient(pass, network.parameters(), rows, w, g, room);
    pass.team.barrier();
  }
  for (const auto& penalty : penalties) {
    if (penalty->acts() != PenaltyActs::before_update) continue;
    penalty->shrink(pass, network.parameters(), rows, optimizer.rates(), w);
    pass.team.barrier();
  }
  optimizer.update(pass, w, g);
  for (const auto& penalty : penalties) {
    if (penalty->acts() != PenaltyActs::after_update) continue;
    pass.team.barrier();
    penalty->shrink(pass, network.parameters(), rows, optimizer.rates(), w);
  }
  network.constrain(pass);
}

} // namespace chainrule
