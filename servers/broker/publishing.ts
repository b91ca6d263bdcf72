/**
 * What may be published and subscribed, message by message: rights, sizes, shape of topics.
 *
 * Owns the verdict and its reason. Never sends or closes anything.
 */

import { limits } from "../../protocol/limits.ts"
import { isApplianceTopic, mayPublish, mayRetain, maySubscribe, type Rights } from "../../protocol/rights.ts"
import { brokerLimits } from "./limits.ts"

export interface PublishRequest {
    topic: string
    payloadBytes: number
    qos: number
    retain: boolean
}

export type TopicProblemReason = "topicMalformed" | "topicTooLong" | "topicTooDeep"
export type PublishProblemReason = TopicProblemReason | "notAllowed" | "retainNotAllowed" | "tooLarge" | "qos2"
export type SubscribeProblemReason = TopicProblemReason | "notAllowed" | "qos2" | "tooManySubscriptions"

export interface Problem<Reason> {
    reason: Reason
    what: string
}

export function publishProblem(rights: Rights, request: PublishRequest): Problem<PublishProblemReason> | undefined {
    const topic = topicProblem(request.topic)
    if (topic) return topic
    if (request.qos > 1) return { reason: "qos2", what: "QoS 2 is not offered" }
    if (!mayPublish(rights, request.topic)) return { reason: "notAllowed", what: "no right to publish on this topic" }
    if (request.retain && !mayRetain(request.topic))
        return { reason: "retainNotAllowed", what: "only states may be retained" }
    const most = isApplianceTopic(request.topic) ? limits.brokerApplianceBytes : limits.brokerMessageBytes
    if (request.payloadBytes > most)
        return { reason: "tooLarge", what: `${request.payloadBytes} bytes; at most ${most} on this topic` }
    return undefined
}

export function subscribeProblem(
    rights: Rights,
    filter: string,
    qos: number,
    subscriptions: number,
): Problem<SubscribeProblemReason> | undefined {
    const topic = topicProblem(filter)
    if (topic) return topic
    if (qos > 1) return { reason: "qos2", what: "QoS 2 is not offered" }
    if (!maySubscribe(rights, filter)) return { reason: "notAllowed", what: "no right to read these topics" }
    if (subscriptions >= brokerLimits.subscriptionsPerClient)
        return {
            reason: "tooManySubscriptions",
            what: `more than ${brokerLimits.subscriptionsPerClient} subscriptions`,
        }
    return undefined
}

function topicProblem(topic: string): Problem<TopicProblemReason> | undefined {
    if (Buffer.byteLength(topic) > limits.topicBytes)
        return { reason: "topicTooLong", what: `the topic is longer than ${limits.topicBytes} bytes` }
    // Every identifier and verb is plain ASCII; control characters and look-alikes would only serve to deceive a reader.
    if (!/^[\x21-\x7e]+$/.test(topic))
        return { reason: "topicMalformed", what: "topics are printable ASCII without spaces" }
    if (topic.split("/").length > brokerLimits.topicLevels)
        return { reason: "topicTooDeep", what: `the topic has more than ${brokerLimits.topicLevels} levels` }
    return undefined
}
