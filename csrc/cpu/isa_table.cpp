// The table of one instruction set. CMake compiles this file, and every operation of cpu/, once for each.
#include "cpu/operations.h"

#define CHAINRULE_TEXT_OF(name) #name
#define CHAINRULE_TEXT(name) CHAINRULE_TEXT_OF(name)

namespace chainrule::cpu::CHAINRULE_ISA {

const Device& device() {
  static const Device device = [] {
    Device table{CHAINRULE_TEXT(CHAINRULE_ISA), {}, {}};
    list_matmul(table);
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
    list_sparse(table);
    list_sums(table);
    list_penalty(table);
    list_ceiling(table);
    return table;
  }();
  return device;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
