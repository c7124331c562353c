// The null table: what stands in for cuda/ in a build without it. Nothing here computes, and no
// network comes here: a device is asked whether it is available before one is made for it.
#include "cuda_table.h"

#include <stdexcept>

namespace chainrule::cuda {

namespace {

[[noreturn]] void refuse() { throw std::runtime_error(trouble() + ": use device=\"cpu\""); }

/// An operation that fits any slot and always throws.
template <class... Arguments> void missing(Arguments...) { refuse(); }

template <class... Arguments> void put_missing(void (*&slot)(Arguments...)) { slot = missing<Arguments...>; }

template <class T> Kernels<T> missing_kernels() {
  Kernels<T> k{};
  put_missing(k.matmul);
  put_missing(k.activation_forward);
  put_missing(k.activation_backward);
  put_missing(k.dropout);
  put_missing(k.add_noise);
  put_missing(k.add_scaled);
  put_missing(k.scale);
  put_missing(k.multiply);
  put_missing(k.clip);
  put_missing(k.clip_norm);
  put_missing(k.soft_threshold);
  put_missing(k.fill);
  put_missing(k.update);
  put_missing(k.softmax_forward);
  put_missing(k.softmax_backward);
  put_missing(k.max_pieces_forward);
  put_missing(k.max_pieces_backward);
  put_missing(k.gather_rows);
  put_missing(k.gather_labels);
  put_missing(k.noise_rows);
  put_missing(k.augment_images);
  put_missing(k.shuffled_order);
  put_missing(k.column_moments);
  put_missing(k.normalize_forward);
  put_missing(k.normalize_backward);
  put_missing(k.constrain_columns);
  put_missing(k.element_loss);
  put_missing(k.cross_entropy);
  put_missing(k.correct_rows);
  put_missing(k.count_classes);
  put_missing(k.column_sum);
  put_missing(k.accumulate);
  put_missing(k.penalty_sum);
  put_missing(k.sum_up);
  put_missing(k.penalty_gradient);
  return k;
}

} // namespace

bool compiled() { return false; }

const std::string& trouble() {
  static const std::string sentence = "this build of chainrule has no CUDA";
  return sentence;
}

About about() { refuse(); }
int number() { refuse(); }
bool is_gpu_memory(const void*) { refuse(); }
void synchronize() { refuse(); }

double seconds_of(const std::function<void()>&) { refuse(); }

const Device& device(Precision) {
  static const Device device{"no CUDA", missing_kernels<float>(), missing_kernels<double>()};
  return device;
}

} // namespace chainrule::cuda
