// Races: every kind of layer, penalty, optimizer and augmentation trains, evaluates and predicts on teams of 1, 2, 3
// and 5 threads, which must give the same bits; sparse rows do so too. .ci/run compiles it with ThreadSanitizer, which
// sees a barrier that is missing; no other test does. It judges no values: the tests in Python do.
#include <cstdio>
#include <memory>
#include <vector>

#include "nn/layers/activation_layer.h"
#include "nn/layers/batch_norm.h"
#include "nn/layers/dense.h"
#include "nn/layers/drop_connect.h"
#include "nn/layers/dropout.h"
#include "nn/layers/gaussian_noise.h"
#include "nn/layers/maxout.h"
#include "nn/layers/standardize.h"
#include "nn/losses/cross_entropy.h"
#include "nn/losses/elementwise_loss.h"
#include "nn/optimizers/nadam.h"
#include "nn/optimizers/rprop.h"
#include "nn/optimizers/rule_optimizer.h"
#include "nn/penalties/decoupled_decay.h"
#include "nn/penalties/power_penalty.h"
#include "nn/penalties/proximal_l1.h"
#include "nn/schedules/cosines.h"
#include "train/epoch.h"
#include "train/evaluation.h"

#include "cpu/table.h"

using namespace chainrule;

namespace {

constexpr Index rows = 53, inputs = 21, outputs = 5, batch_size = 16; // nothing fills a register, a tile or a batch
constexpr int variants = 7, sparse_variant = 6;

/// FNV-1a over the bytes of an array.
template <class T> std::uint64_t hash(const T* array, Index n, std::uint64_t h = 0xcbf29ce484222325) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(array);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n) * sizeof(T); ++i) h = (h ^ bytes[i]) * 0x100000001b3;
  return h;
}

/// None, one, or several of either kind.
std::vector<Changes> changes(int variant) {
  ImageChanges images{.height = 3, .width = 7, .flip_horizontal = true, .max_shift = 1};
  if (variant % 3 == 0) return {};
  if (variant % 3 == 1) return {images};
  images.max_turns = images.max_zoom = 0.2;
  return {NoiseChanges{0.1}, images, NoiseChanges{0.2}};
}

template <class T> std::vector<std::shared_ptr<const Layer<T>>> layers(int variant) {
  const Initializer glorot("fan_avg_uniform", 1), small("constant", 0.01);
  const Constraint max_norm{ColumnConstraint::max_norm, 0.7}, unit_norm{ColumnConstraint::unit_norm, 1};
  const bool odd = variant % 2 == 1;
  const char* dropouts[] = {"inverted", "classic", "fixed_count"};
  std::vector<T> connections;
  for (int e = 0; e < 37 * 35; ++e) connections.push_back(static_cast<T>(e % 3 != 0));
  auto affine = [&](Index columns, std::optional<Constraint> constraint = {}) {
    return Affine<T>{columns, true, glorot, small, constraint};
  };
  if (variant == sparse_variant) {
    return {std::make_shared<Dense<T>>(affine(37), LayerActivation("tanh", 0), std::vector<T>{}),
            std::make_shared<Dense<T>>(affine(outputs), LayerActivation("identity", 0), std::vector<T>{})};
  }
  return {std::make_shared<BatchNorm<T>>(1e-3, 0.1),
          std::make_shared<GaussianNoise<T>>(0.1),
          std::make_shared<Dense<T>>(affine(37, max_norm), LayerActivation("relu", 0), std::vector<T>{}),
          std::make_shared<Dropout<T>>(0.3, dropouts[variant % 3], odd),
          std::make_shared<Dense<T>>(affine(35), LayerActivation("softmax", 0), connections),
          std::make_shared<BatchNorm<T>>(1e-3, 0.1),
          std::make_shared<Maxout<T>>(affine(3 * 33, unit_norm), 3),
          std::make_shared<DropConnect<T>>(affine(34), LayerActivation(odd ? "softmax" : "tanh", 0), 0.4, odd),
          std::make_shared<ActivationLayer<T>>(LayerActivation("elu", 1)),
          std::make_shared<Standardize<T>>(),
          std::make_shared<Dense<T>>(affine(outputs), LayerActivation("identity", 0), std::vector<T>{})};
}

/// Which of the layers learn: all, some, or only the last.
std::vector<bool> trainable(int variant) {
  std::vector<bool> learns(variant == sparse_variant ? 2 : 11, true);
  if (variant == 3) learns[0] = learns[2] = learns[7] = false;
  if (variant == 4) learns[5] = learns[6] = false;
  if (variant == 5) learns.assign(11, false), learns[10] = true;
  return learns;
}

template <class T> std::shared_ptr<Optimizer<T>> optimizer(int variant) {
  std::shared_ptr<Optimizer<T>> one;
  if (variant % 3 == 0) one = std::make_shared<NAdam<T>>(0.01, 0.9, 0.999, 1e-8, 0.004, true, false);
  if (variant % 3 == 1) one = std::make_shared<RuleOptimizer<T>>(0.01, "amsgrad", 0.9, 0.999, 1e-8, true);
  if (variant % 3 == 2) one = std::make_shared<Rprop<T>>(0.01, 0.5, 1.2, 1e-6, 50);
  one->configure({.schedule = std::make_shared<OneCycle>(0.05, 3, 0.3, 0.01, 0.001, true),
                  .layer_factors = {{variant == sparse_variant ? 0 : 2, 0.1}},
                  .clipping = {.norm = variant == 1 ? 0 : 0.5, .value = 0.1},
                  .decay = 0.01,
                  .decay_biases = variant % 2 == 1});
  return one;
}

template <class T> Objective<T> objective(int variant) {
  Objective<T> aim{.loss = std::make_shared<CrossEntropy<T>>(true, 0.1, Reduction::mean),
                   .penalties = {},
                   .penalty_rows = {static_cast<double>(rows), static_cast<double>(batch_size)},
                   .metrics = {{MetricKind::accuracy}, {MetricKind::accuracy, 2}},
                   .count_classes = true,
                   .threshold = 0};
  if (variant % 2 == 1) {
    aim.loss = std::make_shared<ElementwiseLoss<T>>("huber", 0.5, 1, Reduction::mean);
    aim.metrics.push_back({MetricKind::mae});
  }
  if (variant == 2) return aim; // no penalties
  const PenaltyStrength strength{1e-3, 1e-3, 1, PenaltyPer::batch, {}};
  aim.penalties = {std::make_shared<PowerPenalty<T>>(PenaltyTerm{PenaltyTermKind::power, 1.5}, strength, true),
                   std::make_shared<PowerPenalty<T>>(PenaltyTerm{PenaltyTermKind::square, 0}, strength, false),
                   std::make_shared<DecoupledDecay<T>>(strength, variant % 2 == 0),
                   std::make_shared<ProximalL1<T>>(strength)};
  return aim;
}

/// A hash of all that a network is and says after three epochs and a loop by hand.
template <class T> std::uint64_t trained(int threads, int variant, Write gradients) {
  set_thread_limit(threads);
  Network<T> network(cpu::device(), inputs, layers<T>(variant), 7);
  network.set_trainable(trainable(variant));
  for (const Parameter& parameter : network.parameters()) {
    if (parameter.name != "inverse_scale") continue;
    for (Index i = 0; i < parameter.size(); ++i) network.arena()[parameter.offset + i] = 2;
  }

  std::vector<T> x, values, weight;
  std::vector<std::int32_t> labels;
  for (Index i = 0; i < rows * inputs; ++i) x.push_back(static_cast<T>(i * 7919 % 101) / 50 - 1);
  for (Index i = 0; i < rows * outputs; ++i) values.push_back(static_cast<T>(i * 31 % 17) / 17);
  for (Index i = 0; i < rows; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % outputs));
    weight.push_back(static_cast<T>(0.5) + static_cast<T>(i % 3));
  }
  Data<T> data{dense_view<const T>(x.data(), rows, inputs), {}, weight.data()};
  std::vector<Index> offsets{0};
  std::vector<std::int32_t> columns; // every second one, in no order
  for (Index i = 0; i < rows; ++i) {
    for (Index j = i % 2; j < inputs; j += 2) columns.push_back(static_cast<std::int32_t>(inputs - 1 - j));
    offsets.push_back(static_cast<Index>(columns.size()));
  }
  if (variant == sparse_variant) data.x = SparseRows<T>{offsets.data(), columns.data(), x.data(), rows, inputs};
  if (variant % 2 == 1) {
    data.targets.values = dense_view<const T>(values.data(), rows, outputs);
  } else {
    data.targets.labels = labels.data();
  }

  const Objective<T> aim = objective<T>(variant);
  Epoch<T> epoch(network, optimizer<T>(variant), aim,
                 Sampler<T>(data, network.device(), batch_size, variant != 2, false, 3, changes(variant)));
  for (std::uint64_t number = 0; number < 3; ++number) {
    epoch.begin(number);
    while (!epoch.advance(variant == 0 ? 0 : 10, epoch.steps())) continue; // slices of one step, or one slice
  }
  Evaluation<T> evaluation(network, aim, data);
  while (!evaluation.advance(1)) continue;
  const EpochRecord record = evaluation.record();

  std::vector<T> p(rows * outputs);
  PredictionBuffers<T> pieces(network, batch_size);
  ThreadTeam team(network.threads(batch_size, false));
  for (Index next = 0; next < rows;) {
    next = predict<T>(network, host_memory, data.x, dense_view(p.data(), rows, outputs), next, 0, pieces, team);
  }

  StepBuffers<T> step(network, rows, true);
  ThreadTeam by_hand(network.threads(rows, true));
  for (int number = 0; number < 2; ++number) {
    auto pass = [&](const Team& member) {
      Pass<T> own = network.pass(member);
      own.step = network.steps();
      own.gradients = gradients;
      return own;
    };
    auto forward = [&](const Team& member) { network.forward_training(pass(member), data.x, step); };
    by_hand.run(forward);
    const MatrixView<T> slope = step.gradient(network.depth() - 1);
    for (Index i = 0; i < slope.size(); ++i) slope.data[i] = static_cast<T>(0.01);
    auto backward = [&](const Team& member) { network.backward(pass(member), data.x, step); };
    by_hand.run(backward);
  }
  std::uint64_t h = hash(network.arena(), network.arena_size());
  h = hash(network.gradients(), network.arena_size(), hash(p.data(), rows * outputs, h));
  h = hash(record.counts.data(), static_cast<Index>(record.counts.size()), h);
  return hash(&record.penalty, 1, hash(&record.loss, 1, h));
}

template <class T> int differences(int variant, Write gradients) {
  int count = 0;
  const std::uint64_t alone = trained<T>(1, variant, gradients);
  for (const int threads : {2, 3, 5}) {
    if (trained<T>(threads, variant, gradients) == alone) continue;
    std::printf("variant %d in %zu bytes differs on %d threads\n", variant, sizeof(T), threads);
    ++count;
  }
  return count;
}

} // namespace

int main() {
  set_work_per_thread(1); // so small a network would get one thread
  int count = 0;
  for (int variant = 0; variant < variants; ++variant) {
    for (const Write gradients : {Write::overwrite, Write::add}) {
      count += differences<float>(variant, gradients) + differences<double>(variant, gradients);
    }
  }
  std::printf("%d differences\n", count);
  return count == 0 ? 0 : 1;
}
