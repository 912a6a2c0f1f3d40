// How long a change takes to be durable, for every kind of store.
#pragma once

#include "services/session/store.h"

namespace switchyard {

/// `done`, which may be null, after the change has been counted: its time until it is durable, or its failure.
Store::Done Timed(Store::Done done);

}  // namespace switchyard
