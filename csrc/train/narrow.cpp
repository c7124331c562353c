// Telling a device of narrow steps.
#include "train/narrow.h"

#include <optional>

namespace chainrule {

namespace {

/// The network and the loss of a step of so many rows, or nothing. Told anew each step: layers may have been frozen
/// since the last one, and a few hundred bytes cost little beside queuing a kernel.
template <class T> std::optional<NarrowStep<T>> told(Network<T>& network, const Loss<T>& loss, Index rows) {
  const NarrowSteps<T>& steps = network.device().template narrow<T>();
  if (steps.take == nullptr) return {};
  NarrowStep<T> step;
  const std::optional<NarrowLoss> narrow = loss.narrow(rows, network.outputs());
  if (!narrow || !network.tell(step) || !steps.takes(step)) return {};
  step.loss = *narrow;
  return step;
}

} // namespace

template <class T> bool takes_narrow_steps(Network<T>& network, const Loss<T>& loss) {
  return told(network, loss, 1).has_value();
}

template <class T>
bool take_narrow_step(const Pass<T>& pass, Network<T>& network, const Data<T>& batch, const MatrixView<T>& p,
                      Assessment<T>& assessment) {
  const Objective<T>& objective = assessment.objective();
  std::optional<NarrowStep<T>> step = told(network, *objective.loss, batch.rows());
  if (!step) return false;
  step->x = batch.x.dense;
  step->targets = batch.targets;
  step->weight = batch.weight;
  step->row_loss = assessment.row_loss();
  if (objective.scores()) step->p = p;
  network.device().template narrow<T>().take(*step);
  assessment.score(pass, batch, p);
  return true;
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template bool takes_narrow_steps(Network<T>&, const Loss<T>&);                                                       \
  template bool take_narrow_step(const Pass<T>&, Network<T>&, const Data<T>&, const MatrixView<T>&, Assessment<T>&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
