// The table of the GPU. Made without asking for a GPU: whoever uses it has asked available() first.
#include "cuda/operations.h"
#include "cuda_table.h"

namespace chainrule::cuda {

const Device& device() {
  static const Device device = [] {
    Device table{
        .name = "cuda", .float32 = {}, .float64 = {}, .memory = &memory, .wait = finish, .make_replay = make_replay};
    list_matmul(table);
    list_activation(table);
    list_softmax(table);
    list_max_pieces(table);
    list_dropout(table);
    list_noise(table);
    list_arithmetic(table);
    list_update(table);
    list_gather(table);
    list_normalize(table);
    list_constrain(table);
    list_element_loss(table);
    list_cross_entropy(table);
    list_correct_rows(table);
    list_sums(table);
    list_penalty(table);
    return table;
  }();
  return device;
}

} // namespace chainrule::cuda
