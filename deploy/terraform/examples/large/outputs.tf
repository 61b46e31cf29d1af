output "devices_connect_to" {
  description = "Address of the load balancer."
  value       = module.gateway.nlb_dns_name
}

output "stream_arns" {
  description = "Where records go."
  value       = module.gateway.stream_arns
}

output "container_definitions" {
  description = "What runs, as JSON."
  value       = module.gateway.container_definitions
}

output "rest_api" {
  description = "Address of the REST API."
  value       = module.gateway.alb_dns_name
}
