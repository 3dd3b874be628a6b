/* SPDX-License-Identifier: Apache-2.0 */
#include "fp_pattern.inc.h"
