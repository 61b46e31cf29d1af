output "service_name" {
  description = "Name of the ECS service, and value of the dimension `service` of the gateway's own figures."
  value       = local.service_name
}

output "cluster_arn" {
  description = "ARN of the ECS cluster."
  value       = local.cluster_arn
}

output "task_definition_arn" {
  description = "ARN of the task definition, with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "container_definitions" {
  description = "The container definitions, as JSON. Secrets are references."
  value       = jsonencode([local.container_definition])
}

output "gateway_environment" {
  description = "The gateway's configuration: environment variables, as `iotlink config check` takes them."
  value       = local.gateway_environment
}

output "ack_on" {
  description = "When a device gets its answer: spool or sink."
  value       = local.ack_on
}

output "nlb_dns_name" {
  description = "Where devices connect to; null without TCP and MQTT."
  value       = one(values(aws_lb.nlb)[*].dns_name)
}

output "nlb_zone_id" {
  description = "Hosted zone of the NLB, for an alias record."
  value       = one(values(aws_lb.nlb)[*].zone_id)
}

output "alb_dns_name" {
  description = "Where the REST API is; null without it."
  value       = one(values(aws_lb.alb)[*].dns_name)
}

output "alb_zone_id" {
  description = "Hosted zone of the ALB, for an alias record."
  value       = one(values(aws_lb.alb)[*].zone_id)
}

output "stream_arns" {
  description = "ARNs of the streams, by purpose."
  value       = local.stream_arns
}

output "task_role_name" {
  description = "Name of the gateway's role, for further permissions."
  value       = aws_iam_role.task.name
}

output "execution_role_name" {
  description = "Name of the role of ECS before the container runs."
  value       = aws_iam_role.execution.name
}

output "tasks_security_group_id" {
  description = "Security group of the tasks: to be let in by VPC endpoints and brokers."
  value       = aws_security_group.tasks.id
}

output "log_group_name" {
  description = "The log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "spool_file_system_id" {
  description = "The EFS of the spool; null without it."
  value       = local.file_system_id
}

output "discovery_service_arn" {
  description = "The Cloud Map service; null without it."
  value       = one(values(aws_service_discovery_service.this)[*].arn)
}

output "alarm_names" {
  description = "Names of the alarms, by what they watch."
  value       = { for key, one in local.alarms : key => one.name }
}
