// The operations of the CPU, as one instruction set compiles them: each file of cpu/ puts its own into a device.
#pragma once

#include "kernels.h"

namespace chainrule::cpu::CHAINRULE_ISA {

void list_matmul(Device&);
void list_activation(Device&);
void list_softmax(Device&);
void list_max_pieces(Device&);
void list_dropout(Device&);
void list_noise(Device&);
void list_augment_images(Device&);
void list_arithmetic(Device&);
void list_update(Device&);
void list_gather(Device&);
void list_shuffle(Device&);
void list_normalize(Device&);
void list_constrain(Device&);
void list_element_loss(Device&);
void list_cross_entropy(Device&);
void list_correct_rows(Device&);
void list_count_classes(Device&);
void list_sparse(Device&);
void list_sums(Device&);
void list_penalty(Device&);
void list_ceiling(Device&);

} // namespace chainrule::cpu::CHAINRULE_ISA
