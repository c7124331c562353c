// The table of the GPU. Made without asking for a GPU: whoever uses it has asked available() first.
#include "cuda/operations.h"
#include "cuda_table.h"

namespace chainrule::cuda {

const Device& device(Precision precision) {
  const auto make = [](const char* name, Precision products) {
    Device table{.name = name,
                 .float32 = {},
                 .float64 = {},
                 .memory = &memory,
                 .wait = finish,
                 .make_replay = make_replay,
                 .make_feed = make_feed,
                 .free_memory = free_memory};
    list_matmul(table);
    if (products == Precision::tf32) list_matmul_tf32(table);
    if (products == Precision::bfloat16) list_matmul_bfloat16(table);
    list_activation(table);
    list_softmax(table);
    list_max_pieces(table);
    list_dropout(table);
    list_noise(table);
    list_augment_images(table);
    list_arithmetic(table);
    list_update(table);
    list_gather(table);
    list_shuffle(table);
    list_normalize(table);
    list_constrain(table);
    list_element_loss(table);
    list_cross_entropy(table);
    list_correct_rows(table);
    list_count_classes(table);
    list_sums(table);
    list_penalty(table);
    if (products == Precision::float32) list_narrow_step(table); // it rounds no factor
    return table;
  };
  static const Device devices[] = {make("cuda", Precision::float32), make("cuda-tf32", Precision::tf32),
                                   make("cuda-bfloat16", Precision::bfloat16)}; // in the order of Precision
  return devices[static_cast<int>(precision)];
}

} // namespace chainrule::cuda
