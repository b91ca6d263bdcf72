/** The rules of routing-spec 5, one a file. */

import type { Checker } from "../checker.ts"
import type { GroupServer } from "../group-server.ts"
import type { World } from "../world.ts"
import { CapacityChecker } from "./i1-capacity.ts"
import { ReleasedChecker } from "./i2-released.ts"
import { PartnersChecker } from "./i2b-partners.ts"
import { AcyclicChecker } from "./i3-acyclic.ts"
import { ConnectedChecker } from "./i4-connected.ts"
import { DspChecker } from "./i5-dsp.ts"
import { OneTreeChecker } from "./i6-one-tree.ts"
import { AnsweredChecker } from "./i7-answered.ts"
import { LinkStateChecker } from "./i8-link-state.ts"
import { RepairedChecker } from "./i9-repaired.ts"

export function allCheckers(world: World, group: GroupServer): Checker[] {
    return [
        new CapacityChecker(world),
        new ReleasedChecker(world, group),
        new PartnersChecker(world),
        new AcyclicChecker(world),
        new ConnectedChecker(world),
        new DspChecker(world, group),
        new OneTreeChecker(world, group),
        new AnsweredChecker(world),
        new LinkStateChecker(world),
        new RepairedChecker(world),
    ]
}
